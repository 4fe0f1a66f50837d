/* Recordings: straight runs of steps as command buffers, made once for each set of addresses and used again. */
#include <stdlib.h>
#include <string.h>

#include "runtime/vulkan/inside.h"

enum {
  RECORDINGS_MOST = 256,
  PART_COMMANDS = 1024, /* of a part whose time is not known yet */
};
#define PART_NS 1e8 /* that a submission may take: watchdogs of drivers end those of seconds */

static sn_code no_memory(sn_diags *diags) { return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory"); }

/* ---- commands ---------------------------------------------------------------------------------------------------- */

static sn_code add_launch(const sn_vk *v, const sn_bound *b, const sn_step *s, int step, sn_commands *c) {
  const uint64_t *arg = v->arg + b->step[step].first_arg;
  const sn_code_blob *blob = &v->r->plan->code[s->code];
  if (!b->step[step].instances) return SN_OK;
  SN_TRY(sn_commands_add(c, step));
  for (int k = 0; k < s->arg_count; k++)
    if (s->arg[k].is_slot) SN_TRY(sn_commands_access(c, arg[k], b->bytes[s->arg[k].index], s->writes >> k & 1));
  int64_t workspace = v->pipeline[s->code].groups * blob->workspace_bytes;
  return sn_commands_access(c, v->workspace.address, workspace, true);
}

static sn_code add_copy(const sn_vk *v, const sn_bound *b, const sn_step *s, int step, sn_commands *c) {
  const uint64_t *arg = v->arg + b->step[step].first_arg;
  int64_t bytes = b->bytes[s->from] < b->bytes[s->to] ? b->bytes[s->from] : b->bytes[s->to];
  if (!bytes || arg[0] == arg[1]) return SN_OK;
  SN_TRY(sn_commands_add(c, step));
  SN_TRY(sn_commands_access(c, arg[0], bytes, true));
  return sn_commands_access(c, arg[1], bytes, false);
}

/* What the checker finds is a mistake of this room: looked for while the validation layers are. */
static sn_code check(const sn_vk *v, const sn_commands *c, sn_diags *diags) {
  sn_hazard h;
  bool found;
  if (!v->validates) return SN_OK;
  if (sn_barriers_check(c, &found, &h)) return no_memory(diags);
  if (!found) return SN_OK;
  return sn_fail(diags, SN_ERR_FAIL, (sn_loc){0}, "steps %d and %d touch the same bytes without a barrier between them",
                 c->at[h.first].step, c->at[h.second].step);
}

static sn_code list_commands(const sn_vk *v, const sn_bound *b, const sn_step *steps, sn_vk_recording *rec,
                             sn_diags *diags) {
  sn_code code = SN_OK;
  for (int i = rec->first; i < rec->last && !code; i++)
    code = steps[i].kind == SN_STEP_COPY ? add_copy(v, b, &steps[i], i, &rec->commands)
                                         : add_launch(v, b, &steps[i], i, &rec->commands);
  if (!code) code = sn_barriers_place(&rec->commands);
  return code ? no_memory(diags) : check(v, &rec->commands, diags);
}

/* ---- flags ------------------------------------------------------------------------------------------------------- */

static bool is_control(const sn_step *s) {
  return s->kind == SN_STEP_CHECK || s->kind == SN_STEP_CHOOSE || s->kind == SN_STEP_WHILE;
}

static bool writes(const sn_commands *c, uint64_t at) {
  for (int i = 0; i < c->access_count; i++)
    if (c->access[i].write && c->access[i].at <= at && at < c->access[i].at + c->access[i].bytes) return true;
  return false;
}

/* Slots that a control step of the graph looks at and this recording writes. */
static sn_code list_flags(const sn_vk *v, const sn_step *steps, int count, sn_vk_recording *rec, sn_diags *diags) {
  rec->flag = calloc((size_t)count + 1, sizeof *rec->flag);
  if (!rec->flag) return no_memory(diags);
  for (int i = 0; i < count; i++) {
    const sn_vk_place *p = is_control(&steps[i]) ? &v->place[steps[i].from] : NULL;
    bool there = !p || !p->block || !writes(&rec->commands, p->block->address + (uint64_t)p->offset);
    for (int k = 0; k < rec->flag_count; k++) there |= rec->flag[k] == steps[i].from;
    if (!there) rec->flag[rec->flag_count++] = steps[i].from;
  }
  return SN_OK;
}

/* ---- tables of many arguments ------------------------------------------------------------------------------------ */

static sn_code fill_tables(sn_vk *v, const sn_bound *b, const sn_step *steps, sn_vk_recording *rec, sn_diags *diags) {
  int64_t bytes = 0, at = 0;
  for (int i = 0; i < rec->commands.count; i++) {
    const sn_step *s = &steps[rec->commands.at[i].step];
    if (s->kind == SN_STEP_LAUNCH && s->arg_count > SN_VK_PUSH_ARGS) bytes += 8 * (int64_t)s->arg_count;
  }
  if (!bytes) return SN_OK;
  SN_TRY(sn_vk_block_create(v, bytes, SN_VK_LOCAL, "arguments of kernels", diags, &rec->table));
  for (int i = 0; i < rec->commands.count; i++) {
    const sn_step *s = &steps[rec->commands.at[i].step];
    if (s->kind != SN_STEP_LAUNCH || s->arg_count <= SN_VK_PUSH_ARGS) continue;
    const uint64_t *arg = v->arg + b->step[rec->commands.at[i].step].first_arg;
    SN_TRY(sn_vk_upload(v, (sn_vk_place){&rec->table, at}, arg, 8 * (int64_t)s->arg_count, diags));
    at += 8 * (int64_t)s->arg_count;
  }
  return SN_OK;
}

/* ---- parts ------------------------------------------------------------------------------------------------------- */

/* The barrier nearest to the middle of commands first..first+count-1, behind the first; -1: none. */
static int middle(const sn_commands *c, int first, int count) {
  for (int k = 0; k < count; k++) {
    int up = first + count / 2 + k, down = first + count / 2 - k;
    if (up < first + count && up > first && c->at[up].barrier) return up;
    if (down > first && c->at[down].barrier) return down;
  }
  return -1;
}

static bool add_part(sn_vk_recording *rec, int at, sn_vk_part part) {
  sn_vk_part *more = realloc(rec->part, ((size_t)rec->part_count + 1) * sizeof *more);
  if (!more) return false;
  rec->part = more;
  memmove(more + at + 1, more + at, (size_t)(rec->part_count - at) * sizeof *more);
  more[at] = part;
  rec->part_count++;
  return true;
}

/* Halves parts that take too long, or have more commands than one of unknown time may have. -> changed? */
static bool cut(sn_vk_recording *rec) {
  bool changed = false;
  for (int k = 0; k < rec->part_count; k++) {
    sn_vk_part *p = &rec->part[k];
    bool large = p->looked ? p->ns > PART_NS : p->count > PART_COMMANDS;
    int at = large ? middle(&rec->commands, p->first, p->count) : -1;
    if (at < 0) continue;
    sn_vk_part second = {.first = at, .count = p->first + p->count - at, .ns = p->ns / 2};
    p->count = at - p->first, p->ns /= 2;
    p->looked = 0;
    if (!add_part(rec, k + 1, second)) {
      p->count += second.count;
      return changed;
    }
    changed = true;
    if (rec->part[k].count > PART_COMMANDS) k--;
  }
  return changed;
}

/* Command buffers and queries, not the parts. */
static void drop_buffers(sn_vk *v, sn_vk_recording *rec) {
  for (int k = 0; k < rec->part_count; k++) {
    if (rec->part[k].buffer) v->f.vkFreeCommandBuffers(v->handle, v->pool, 1, &rec->part[k].buffer);
    rec->part[k].buffer = VK_NULL_HANDLE;
  }
  if (rec->times) v->f.vkDestroyQueryPool(v->handle, rec->times, NULL);
  rec->times = VK_NULL_HANDLE;
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

static void destroy(sn_vk *v, sn_vk_recording *rec) {
  drop_buffers(v, rec);
  sn_vk_block_destroy(v, &rec->table);
  sn_commands_free(&rec->commands);
  free(rec->part);
  free(rec->flag);
  free(rec->arg);
  free(rec);
}

void sn_vk_recordings_drop(sn_vk *v) {
  for (sn_vk_recording *rec = v->recording, *next; rec; rec = next) {
    next = rec->next;
    destroy(v, rec);
  }
  v->recording = NULL, v->recording_count = 0;
}

static int args_end(const sn_bound *b, int count, int last) {
  return last < count ? b->step[last].first_arg : b->arg_count;
}

static sn_vk_recording *find(sn_vk *v, const sn_vk_recording *key) {
  for (sn_vk_recording **at = &v->recording; *at; at = &(*at)->next) {
    sn_vk_recording *rec = *at;
    if (rec->bound != key->bound || rec->first != key->first || rec->last != key->last || rec->timed != key->timed ||
        rec->arg_count != key->arg_count || memcmp(rec->arg, key->arg, (size_t)key->arg_count * sizeof *key->arg))
      continue;
    *at = rec->next;
    rec->next = v->recording;
    v->recording = rec;
    return rec;
  }
  return NULL;
}

/* The recording that was not used for longest goes, once nothing runs. */
static sn_code make_room(sn_vk *v, sn_diags *diags) {
  if (v->recording_count < RECORDINGS_MOST) return SN_OK;
  SN_TRY(sn_vk_settle(v, diags));
  sn_vk_recording **at = &v->recording;
  while ((*at)->next) at = &(*at)->next;
  destroy(v, *at);
  *at = NULL;
  v->recording_count--;
  return SN_OK;
}

static sn_code fill(sn_vk *v, const sn_bound *b, const sn_step *steps, int count, sn_vk_recording *rec,
                    sn_diags *diags) {
  SN_TRY(list_commands(v, b, steps, rec, diags));
  SN_TRY(list_flags(v, steps, count, rec, diags));
  SN_TRY(fill_tables(v, b, steps, rec, diags));
  if (!add_part(rec, 0, (sn_vk_part){.count = rec->commands.count})) return no_memory(diags);
  (void)cut(rec);
  return sn_vk_encode(v, b, steps, rec, diags);
}

static sn_code create(sn_vk *v, const sn_bound *b, const sn_step *steps, int count, const sn_vk_recording *key,
                      sn_diags *diags, sn_vk_recording **out) {
  SN_TRY(make_room(v, diags));
  sn_vk_recording *rec = malloc(sizeof *rec);
  if (!rec) return no_memory(diags);
  *rec = *key;
  rec->arg = malloc(((size_t)key->arg_count + 1) * sizeof *rec->arg);
  sn_code code = rec->arg ? SN_OK : no_memory(diags);
  if (!code) memcpy(rec->arg, key->arg, (size_t)key->arg_count * sizeof *rec->arg);
  if (!code) code = fill(v, b, steps, count, rec, diags);
  if (code) {
    destroy(v, rec);
    return code;
  }
  rec->next = v->recording;
  v->recording = rec;
  v->recording_count++;
  *out = rec;
  return SN_OK;
}

sn_code sn_vk_record(sn_vk *v, const sn_bound *b, const sn_step *steps, int count, int first, int last, sn_diags *diags,
                     sn_vk_recording **out) {
  int from = b->step[first].first_arg;
  const sn_runtime_opt *o = &v->r->opt;
  const sn_vk_recording key = {.bound = b->id,
                               .first = first,
                               .last = last,
                               .timed = (o->on_step || o->on_part) && v->facts.timestamp_ns > 0,
                               .arg = v->arg + from,
                               .arg_count = args_end(b, count, last) - from};
  sn_vk_recording *rec = find(v, &key);
  if (!rec) return create(v, b, steps, count, &key, diags, out);
  if (cut(rec)) {
    SN_TRY(sn_vk_settle(v, diags));
    drop_buffers(v, rec);
    SN_TRY(sn_vk_encode(v, b, steps, rec, diags));
  }
  *out = rec;
  return SN_OK;
}
