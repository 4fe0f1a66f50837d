/* Private to runtime/vulkan: the device of one runtime, its memory, transfers, pipelines and recordings. */
#ifndef SN_RUNTIME_VULKAN_INSIDE_H
#define SN_RUNTIME_VULKAN_INSIDE_H

#include "runtime/device.h"
#include "runtime/vulkan/api.h"
#include "runtime/hazard.h"

enum {
  SN_VK_PUSH = 128,     /* bytes of push constants of every kernel, at most */
  SN_VK_PUSH_ARGS = 14, /* arguments that fit; more are read from a table */
  SN_VK_LANE = 8 << 20, /* bytes of one half of the staging memory */
  SN_VK_LANES = 2,
  SN_VK_ALIGN = 256,               /* of the storage of slots */
  SN_VK_WORKSPACE_MOST = 64 << 20, /* bytes of all workgroups together, unless one needs more */
  SN_VK_RUNNING = 64,              /* recordings submitted without waiting, at most */
  SN_VK_GROUPS = 65535,            /* workgroups in one direction, at most: what every device has */
};

/* ---- memory ------------------------------------------------------------------------------------------------------ */

typedef struct sn_vk_block {
  VkBuffer buffer;
  VkDeviceMemory memory;
  uint64_t address; /* for kernels */
  int64_t bytes;
  char *host;    /* mapped; NULL: not */
  int64_t base;  /* of the block in its buffer */
  int64_t taken; /* bytes of `memory` */
  int heap;      /* that they are of */
  bool part;     /* of another block, which owns buffer and memory */
} sn_vk_block;

/* Where a slot is. */
typedef struct sn_vk_place {
  const sn_vk_block *block; /* NULL: nowhere */
  int64_t offset;
} sn_vk_place;

/* Slots follow each other in blocks that are as large as one allocation may be. */
struct sn_device_store {
  sn_vk_block *block; /* of block_count; room for one per slot */
  int block_count;
  sn_vk_place *place; /* per slot */
};

/* ---- transfers --------------------------------------------------------------------------------------------------- */

typedef struct sn_vk_out { /* a download on its way: from staging memory to the caller's */
  void *to;
  int64_t from, bytes;
} sn_vk_out;

typedef struct sn_vk_lane {
  VkCommandBuffer buffer;
  bool open;     /* being recorded */
  uint64_t tick; /* of its submission */
  int64_t base, used;
  sn_vk_out out[256];
  int out_count;
} sn_vk_lane;

/* ---- recordings -------------------------------------------------------------------------------------------------- */

typedef struct sn_vk_part { /* commands that are submitted together */
  VkCommandBuffer buffer;
  int first, count;
  double ns;  /* that it took when it was last measured */
  int looked; /* times measured */
} sn_vk_part;

/* A straight run of steps between two points of control, for one set of addresses. */
typedef struct sn_vk_recording {
  struct sn_vk_recording *next; /* newest use first */
  int64_t bound;                /* id of the binding */
  int first, last;              /* steps */
  bool timed;                   /* has a time of every command */
  int arg_count;
  uint64_t *arg; /* of its steps, one after the other: what makes it this one */
  sn_commands commands;
  sn_vk_part *part;
  int part_count;
  VkQueryPool times; /* two of each part, or (timed) one more than commands; NULL: the device has no clock */
  sn_vk_block table; /* arguments of kernels with more than fit into push constants */
  int *flag;         /* slots whose bytes are copied to where the host reads them */
  int flag_count;
} sn_vk_recording;

/* ---- the device -------------------------------------------------------------------------------------------------- */

typedef struct sn_vk_pipeline {
  VkPipeline handle;
  int64_t groups; /* workgroups that may run, for those with a workspace; 0: any number */
} sn_vk_pipeline;

typedef struct sn_vk {
  sn_device device; /* first */
  sn_runtime *r;
  VkInstance instance;
  VkPhysicalDevice physical;
  sn_vulkan_facts facts;
  VkPhysicalDeviceMemoryProperties heaps;
  bool budget;                        /* VK_EXT_memory_budget */
  int64_t taken[VK_MAX_MEMORY_HEAPS]; /* bytes of all blocks */
  VkDevice handle;
  struct VolkDeviceTable f;
  uint32_t family;
  VkQueue queue;
  VkCommandPool pool;
  VkSemaphore timeline;
  uint64_t tick; /* of the newest submission */
  uint64_t seen; /* the newest that is known to have ended */
  bool lost;
  const char *last; /* kernel that was submitted last; NULL: none yet */
  VkPipelineLayout layout;
  VkPipelineCache cache;
  uint64_t cached;          /* checksum of what it began with, from an earlier process; 0: nothing */
  sn_vk_pipeline *pipeline; /* per blob */
  sn_vk_block temps;        /* temporaries, inputs and outputs of one run */
  sn_vk_block workspace;
  sn_vk_block flags;                       /* four bytes for each slot */
  sn_vk_recording *running[SN_VK_RUNNING]; /* submitted since the last time that all was waited for, in order */
  int running_count;
  double step_ns;   /* of the newest command that was measured, for sn_runtime_opt.on_step */
  bool validates;   /* SN_VULKAN_VALIDATE: layers, and the checker of barriers */
  int complaints;   /* of the layers, told so far */
  bool *flag_known; /* per slot: its byte in `flags` is that of now, once all submitted has ended */
  bool
      one_block; /* what kernels access is in `arena`: layers of 2022 (1.3.239) look for addresses in one buffer only */
  sn_vk_block arena;
  int64_t arena_used;
  sn_vk_block staging;
  sn_vk_lane lane[SN_VK_LANES];
  int lane_now;
  sn_vk_recording *recording;
  int recording_count;
  sn_vk_place *place; /* per slot, in the newest run */
  uint64_t *arg;      /* of all steps of the run */
  int arg_capacity;
  int *parent;     /* per step */
  int64_t *rounds; /* per step */
  int step_capacity;
  const sn_bound *bound; /* of the newest run */
} sn_vk;

/* A call failed -> status and message, with the kernel that was submitted last. */
sn_code sn_vk_fail(sn_vk *v, sn_diags *diags, VkResult r, const char *call);
#define SN_VK_TRY(v, diags, call)                                           \
  do {                                                                      \
    VkResult sn_vk_result = (call);                                         \
    if (sn_vk_result < 0) return sn_vk_fail(v, diags, sn_vk_result, #call); \
  } while (0)

/* What the layers said since it was last asked is a failure of what was done meanwhile. */
SN_MUST sn_code sn_vk_complaints_check(sn_vk *v, sn_diags *diags);

/* open.c: logical device, queue, timeline. */
SN_MUST sn_code sn_vk_open(sn_vk *v, sn_diags *diags);
void sn_vk_close(sn_vk *v);
/* Submits a command buffer; *v->tick is its time. */
SN_MUST sn_code sn_vk_submit(sn_vk *v, VkCommandBuffer buffer, sn_diags *diags);
/* Until everything up to `tick` has ended. */
SN_MUST sn_code sn_vk_wait(sn_vk *v, uint64_t tick, sn_diags *diags);
SN_MUST sn_code sn_vk_buffers(sn_vk *v, int count, VkCommandBuffer *out, sn_diags *diags);
/* Everything before it in the queue ends, and what it wrote is seen, before what comes after it. */
void sn_vk_barrier(const sn_vk *v, VkCommandBuffer buffer, bool host);

/* memory.c */
typedef enum sn_vk_memory { SN_VK_LOCAL, SN_VK_HOST } sn_vk_memory;
/* what: for messages.   errors: SN_ERR_LIMIT: how much there is and how much was needed */
SN_MUST sn_code sn_vk_block_create(sn_vk *v, int64_t bytes, sn_vk_memory kind, const char *what, sn_diags *diags,
                                   sn_vk_block *out);
/* Bytes of memory for kernels that can still be had in one block, as far as the driver says. */
int64_t sn_vk_free_bytes(const sn_vk *v);
void sn_vk_block_destroy(sn_vk *v, sn_vk_block *b);

/* transfer.c: between host memory and places. Uploads take part in the order of submissions; both may be late until
 * they are finished. */
SN_MUST sn_code sn_vk_upload(sn_vk *v, sn_vk_place to, const void *from, int64_t bytes, sn_diags *diags);
SN_MUST sn_code sn_vk_download(sn_vk *v, sn_vk_place from, void *to, int64_t bytes, sn_diags *diags);
SN_MUST sn_code sn_vk_transfers_flush(sn_vk *v, sn_diags *diags);  /* submits what is collected */
SN_MUST sn_code sn_vk_transfers_finish(sn_vk *v, sn_diags *diags); /* and waits: downloads are there */

/* pipeline.c */
SN_MUST sn_code sn_vk_pipelines_create(sn_vk *v, sn_diags *diags);
void sn_vk_pipelines_destroy(sn_vk *v);
/* cache.c: pipelines of earlier processes; a cache that is damaged or of another driver is not used. */
void sn_vk_cache_load(sn_vk *v);
void sn_vk_cache_store(sn_vk *v);

/* record.c: the recording of steps first..last-1 of `count` with v->arg, found or made. */
SN_MUST sn_code sn_vk_record(sn_vk *v, const sn_bound *b, const sn_step *steps, int count, int first, int last,
                             sn_diags *diags, sn_vk_recording **out);
void sn_vk_recordings_drop(sn_vk *v); /* needs: nothing runs */
/* encode.c: command buffers of a recording, cut into parts where `cut` says (commands; part_count of them). */
SN_MUST sn_code sn_vk_encode(sn_vk *v, const sn_bound *b, const sn_step *steps, sn_vk_recording *rec, sn_diags *diags);
/* Queries of part k: the first, and how many. */
int sn_vk_query_first(const sn_vk_recording *rec, int k);
int sn_vk_query_count(const sn_vk_recording *rec, int k);
/* times.c: after what runs was waited for: measures it, and tells who listens. */
void sn_vk_times_read(sn_vk *v);

/* Waits for everything that was submitted. */
SN_MUST sn_code sn_vk_settle(sn_vk *v, sn_diags *diags);

/* run.c */
SN_MUST sn_code sn_vk_run(sn_device *d, const sn_device_run *x, sn_diags *diags);

#endif
