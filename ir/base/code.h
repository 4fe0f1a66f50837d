/* Status codes: what functions return. The C interface and the inner layers share them. */
#ifndef SN_IR_BASE_CODE_H
#define SN_IR_BASE_CODE_H

/* The values are the exit codes of the command. */
typedef enum sn_code {
  SN_OK = 0,
  SN_ERR_FAIL = 1,        /* anything that has no better code */
  SN_ERR_USAGE = 2,       /* the caller's arguments make no sense */
  SN_ERR_INPUT = 3,       /* a bad model or file */
  SN_ERR_LIMIT = 4,       /* memory, disk or a stated limit */
  SN_ERR_DEVICE = 5,      /* the device or backend refuses */
  SN_ERR_NUMERIC = 6,     /* NaN, Inf or a mismatch */
  SN_ERR_INTERRUPTED = 7, /* stopped by a signal after a checkpoint */
} sn_code;

#if defined(__GNUC__)
#define SN_MUST __attribute__((warn_unused_result))
#define SN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define SN_MUST
#define SN_PRINTF(fmt, args)
#endif

#endif
