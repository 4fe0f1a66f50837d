/* Program -> files: plan, object, header. */
#include <string.h>

#include "backends/object.h"
#include "host/inside.h"
#include "ir/base/place.h"
#include "runtime/io/file.h"

typedef struct saving {
  const sn_program *p;
  const char *path;
  sn_file_map runtime; /* the object that models are shipped with */
} saving;

static int save(void *arg) {
  saving *x = arg;
  const sn_plan *plan = x->p->plan;
  sn_diags *diags = x->p->ctx->diags;
  sn_arena *arena = diags->arena;
  const char *slash = strrchr(x->path, '/'), *name = sn_object_identifier(arena, slash ? slash + 1 : x->path);
  const char *runtime = sn_place_find(arena, "libexec/sinter/sinter-rt.o");
  unsigned char *image, *object;
  size_t image_bytes, object_bytes;
  sn_text header = sn_text_begin(arena);
  if (!sn_plan_is_native(plan))
    return sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "a program for %s cannot be saved: its code is not native",
                   plan->target);
  if (!runtime) return sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "libexec/sinter/sinter-rt.o was not found");
  SN_TRY(sn_file_map_open(runtime, diags, &x->runtime));
  SN_TRY(sn_plan_write(arena, plan, &image, &image_bytes));
  SN_TRY(sn_object_write(arena, diags, name, x->runtime.data, x->runtime.bytes, image, image_bytes, &object,
                         &object_bytes));
  sn_object_header(&header, name, plan);
  SN_TRY(sn_file_write_all(sn_arena_printf(arena, "%s.plan", x->path), image, image_bytes, diags));
  SN_TRY(sn_file_write_all(sn_arena_printf(arena, "%s.o", x->path), object, object_bytes, diags));
  return sn_file_write_all(sn_arena_printf(arena, "%s.h", x->path), header.at, (size_t)header.count, diags);
}

sn_code sn_program_save(const sn_program *p, const char *path) {
  saving x = {.p = p, .path = path};
  sn_code code = sn_host_call(p->ctx, save, &x);
  sn_file_map_close(&x.runtime);
  return code;
}
