/* Scopes: names and modes by value. */
#include "frontend/trace.h"

#include <string.h>

static bool is_part(const char *name) {
  if (!name || !*name || name[0] == '.' || name[strlen(name) - 1] == '.') return false;
  for (const char *s = name; *s; s++) {
    bool word =
        (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || *s == '_' || *s == '-';
    if (!word && (*s != '.' || s[1] == '.')) return false;
  }
  return true;
}

const char *sn_join_name(const sn_call *c, const char *path, const char *name) {
  return *path ? sn_texts(c, "%s.%s", path, name) : name;
}

const char *sn_unstar(sn_arena *arena, const char *with, const char *name) {
  int stars = 1;
  for (const char *s = with; *s; s++) stars += *s == '*';
  for (const char *s = name; *s; s++) {
    if (*s == '*' && --stars == 0) return sn_arena_printf(arena, "%s%s", with, s + 1);
  }
  return name;
}

sn_scope sn_root_scope(sn_trace *t, const char *name, sn_scope modes_of) {
  sn_path *p = SN_NEW(t->arena, sn_path);
  *p = modes_of.path ? *modes_of.path : (sn_path){.layer = -1};
  p->name = p->star = name;
  p->loop = NULL;
  return (sn_scope){t->graph, p};
}

static bool is_start(const sn_type *t) { return t && t->elem == SN_ELEM_I32 && t->rank <= 1; }

sn_scope sn_in_at(sn_here here, sn_in_args a) {
  sn_call c = sn_call_in(here, a.m, 0, NULL);
  sn_path *p = SN_NEW(c.trace->arena, sn_path);
  *p = *a.m.path;
  p->loop = NULL;
  if (a.name && *a.name && is_part(a.name)) {
    p->name = sn_arena_strdup(c.trace->arena, sn_join_name(&c, p->name, a.name));
    p->star = sn_arena_strdup(c.trace->arena, sn_join_name(&c, p->star, a.name));
  } else if (a.name && *a.name) {
    sn_mistake(&c, "letters, digits, _ - and . between them", sn_texts(&c, "\"%s\"", a.name), "not a name");
  }
  p->frozen |= a.frozen;
  p->train |= a.train;
  if (a.cache) p->cache = a.cache;
  if (a.cache < 0) {
    sn_mistake(&c, "a number of positions", sn_texts(&c, "%lld", (long long)a.cache), "the cache has no rows");
    p->cache = 0;
  }
  if (!sn_is_number(a.start) || a.start.u.num != 0) p->start = a.start;
  if (!sn_is_number(p->start) && !sn_is_poison(p->start) && !is_start(sn_t_type(p->start))) {
    sn_mistake(&c, "i32[] or i32[B]", sn_describe(&c, p->start, ".start"), "the start does not fit");
    p->start = sn_num(0);
  }
  if (a.hook) {
    p->hook = a.hook;
    p->hook_on = a.hook_on ? a.hook_on : "*";
    p->hook_opt = a.hook_opt;
  }
  return (sn_scope){a.m.fn, p};
}

sn_t sn_start(sn_scope m) { return m.path->start; }

int sn_layer(sn_scope m) { return m.path->layer; }
