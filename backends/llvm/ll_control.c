/* Structured control of the LLVM vocabulary: loops with carried values, branches, scopes of remembered values. */
#include <string.h>

#include "backends/llvm/ll.h"

void ll_memo_begin(ll *g, int keys) { g->memo = (ll_memo){.at = SN_ARRAY(g->arena, keys, ll_v)}; }

ll_v ll_remember(ll *g, int key, ll_v v) {
  ll_memo *m = &g->memo;
  SN_GROW(g->arena, m->trail, m->count, m->capacity);
  m->trail[m->count++] = key;
  return m->at[key] = v;
}

void ll_scope_end(ll *g, int mark) {
  while (g->memo.count > mark) g->memo.at[g->memo.trail[--g->memo.count]] = NULL;
}

static LLVMBasicBlockRef new_block(ll *g) { return LLVMAppendBasicBlockInContext(g->c, g->fn, ""); }

void ll_loop_begin(ll *g, ll_loop *l, ll_v lo, ll_v hi, ll_v step, int n, const ll_v *init, bool guard) {
  l->hi = hi, l->step = step, l->count = n, l->guard = guard, l->scope = ll_scope(g);
  l->before = LLVMGetInsertBlock(g->b), l->body = new_block(g), l->exit = new_block(g);
  if (guard)
    LLVMBuildCondBr(g->b, ll_icmp(g, LLVMIntSLT, lo, hi), l->body, l->exit);
  else
    LLVMBuildBr(g->b, l->body);
  LLVMPositionBuilderAtEnd(g->b, l->body);
  l->iv = LLVMBuildPhi(g->b, g->i64, "i");
  LLVMAddIncoming(l->iv, &lo, &l->before, 1);
  for (int k = 0; k < n; k++) {
    l->init[k] = init[k];
    l->phi[k] = LLVMBuildPhi(g->b, LLVMTypeOf(init[k]), "");
    LLVMAddIncoming(l->phi[k], &l->init[k], &l->before, 1);
  }
}

void ll_loop_end(ll *g, ll_loop *l, const ll_v *next) {
  ll_v after = LLVMBuildNSWAdd(g->b, l->iv, l->step, "");
  LLVMBasicBlockRef last = LLVMGetInsertBlock(g->b);
  LLVMBuildCondBr(g->b, ll_icmp(g, LLVMIntSLT, after, l->hi), l->body, l->exit);
  LLVMMoveBasicBlockAfter(l->exit, last);
  LLVMAddIncoming(l->iv, &after, &last, 1);
  LLVMPositionBuilderAtEnd(g->b, l->exit);
  for (int k = 0; k < l->count; k++) {
    ll_v v = next[k];
    LLVMAddIncoming(l->phi[k], &v, &last, 1);
    l->out[k] = v;
    if (!l->guard) continue;
    l->out[k] = LLVMBuildPhi(g->b, LLVMTypeOf(v), "");
    LLVMAddIncoming(l->out[k], &v, &last, 1);
    LLVMAddIncoming(l->out[k], &l->init[k], &l->before, 1);
  }
  ll_scope_end(g, l->scope);
}

void ll_if(ll *g, ll_branch *br, ll_v cond) {
  LLVMBasicBlockRef then_begin = new_block(g);
  *br = (ll_branch){.else_begin = new_block(g), .end = new_block(g), .scope = ll_scope(g)};
  LLVMBuildCondBr(g->b, cond, then_begin, br->else_begin);
  LLVMPositionBuilderAtEnd(g->b, then_begin);
}

void ll_else(ll *g, ll_branch *br) {
  br->then_end = LLVMGetInsertBlock(g->b);
  LLVMBuildBr(g->b, br->end);
  LLVMMoveBasicBlockAfter(br->else_begin, br->then_end);
  LLVMPositionBuilderAtEnd(g->b, br->else_begin);
  ll_scope_end(g, br->scope);
}

void ll_endif(ll *g, ll_branch *br) {
  LLVMBasicBlockRef else_end = LLVMGetInsertBlock(g->b);
  LLVMBuildBr(g->b, br->end);
  LLVMMoveBasicBlockAfter(br->end, else_end);
  LLVMPositionBuilderAtEnd(g->b, br->end);
  ll_scope_end(g, br->scope);
}
