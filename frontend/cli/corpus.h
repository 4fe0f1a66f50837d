/* The default corpus: the project's own sources and documents, embedded by the build. */
#ifndef SN_FRONTEND_CLI_CORPUS_H
#define SN_FRONTEND_CLI_CORPUS_H

extern const char sn_corpus[]; /* UTF-8, sn_corpus_bytes bytes */
extern const long sn_corpus_bytes;

#endif
