/* Tokenizers and datasets. */
#include "runtime/io/dataset.h"
#include "runtime/io/recipe.h"
#include "tests/runtime/support.h"

typedef struct bench {
  sn_arena *arena;
  sn_diags *diags;
} bench;

static bench begin(void) { return (bench){sn_arena_create(), sn_diags_create()}; }

static void end(bench *b) {
  sn_diags_destroy(b->diags);
  sn_arena_destroy(b->arena);
}

#define assert_said(b, text) assert_non_null(strstr(sn_diags_print((b)->diags, (b)->arena), text))

static sn_tokenizer *chars(bench *b, const char *text) {
  sn_tokenizer *t = NULL;
  assert_int_equal(sn_tokenizer_char(b->arena, b->diags, text, strlen(text), &t), SN_OK);
  return t;
}

/* encode, then decode: the same bytes */
static void assert_round_trip(bench *b, const sn_tokenizer *t, const char *text, size_t bytes) {
  int32_t *ids;
  int64_t count;
  assert_int_equal(sn_tokenizer_encode(t, b->diags, "x", text, bytes, &ids, &count), SN_OK);
  sn_text back = sn_text_begin(b->arena);
  for (int64_t i = 0; i < count; i++) {
    int n;
    const char *piece = sn_tokenizer_piece(t, ids[i], &n);
    assert_true(ids[i] >= 0 && ids[i] < sn_tokenizer_vocab(t));
    sn_text_bytes(&back, piece, (size_t)n);
  }
  assert_int_equal(back.count, (int)bytes);
  assert_memory_equal(back.at, text, bytes);
  free(ids);
}

static const char *const mixed = "To be, or n\xc3\xb6t \xe2\x82\xac \xf0\x9f\x98\x80 \"q\" \\ \t\n\x01\x7f";

static void texts_come_back(void **state) {
  (void)state;
  bench b = begin();
  char all[256];
  for (int i = 0; i < 256; i++) all[i] = (char)i;
  sn_tokenizer *bytes = sn_tokenizer_byte(b.arena), *t = chars(&b, mixed);
  assert_int_equal(sn_tokenizer_vocab(bytes), 256);
  assert_round_trip(&b, bytes, all, sizeof all);
  assert_round_trip(&b, t, mixed, strlen(mixed));
  assert_round_trip(&b, t, "", 0);
  sn_text json = sn_text_begin(b.arena);
  sn_tokenizer_print(&json, t);
  sn_tokenizer *back;
  assert_int_equal(sn_tokenizer_parse(b.arena, b.diags, "tokenizer.json", json.at, (size_t)json.count, &back), SN_OK);
  assert_int_equal(sn_tokenizer_vocab(back), sn_tokenizer_vocab(t));
  assert_string_equal(sn_tokenizer_type(back), "char");
  assert_round_trip(&b, back, mixed, strlen(mixed));
  json = sn_text_begin(b.arena);
  sn_tokenizer_print(&json, bytes);
  assert_int_equal(sn_tokenizer_parse(b.arena, b.diags, "tokenizer.json", json.at, (size_t)json.count, &back), SN_OK);
  assert_string_equal(sn_tokenizer_type(back), "byte");
  int n;
  assert_null(sn_tokenizer_piece(t, -1, &n));
  assert_null(sn_tokenizer_piece(t, sn_tokenizer_vocab(t), &n));
  end(&b);
}

static void ids_are_in_order_of_code_points(void **state) {
  (void)state;
  bench b = begin();
  sn_tokenizer *t = chars(&b, "cab\xc3\xa9 ab");
  int32_t *ids;
  int64_t count;
  assert_int_equal(sn_tokenizer_vocab(t), 5);
  assert_int_equal(sn_tokenizer_encode(t, b.diags, "x", "\xc3\xa9 cab", 6, &ids, &count), SN_OK);
  assert_true(count == 5 && ids[0] == 4 && ids[1] == 0 && ids[2] == 3 && ids[3] == 1 && ids[4] == 2);
  free(ids);
  end(&b);
}

static void unknown_characters_are_named(void **state) {
  (void)state;
  bench b = begin();
  sn_tokenizer *t = chars(&b, "ab\n"), *none;
  int32_t *ids;
  int64_t count;
  assert_int_equal(sn_tokenizer_encode(t, b.diags, "prompt", "ab\na\xc3\xa9", 6, &ids, &count), SN_ERR_INPUT);
  assert_said(&b, "U+00E9");
  assert_said(&b, "prompt:2:2");
  assert_int_equal(sn_tokenizer_encode(t, b.diags, "prompt", "a\xff", 2, &ids, &count), SN_ERR_INPUT);
  assert_said(&b, "0xff is not UTF-8");
  static const char *const bad[] = {"\x80", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                    "\xf5", "\xc3",     "\xe2\x82"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_int_equal(sn_tokenizer_char(b.arena, b.diags, bad[i], strlen(bad[i]), &none), SN_ERR_INPUT);
  assert_int_equal(sn_tokenizer_char(b.arena, b.diags, "", 0, &none), SN_ERR_INPUT);
  end(&b);
}

static void hostile_tokenizer_files_are_refused(void **state) {
  (void)state;
  static const char *const bad[] = {"",
                                    "[]",
                                    "{}",
                                    "{\"type\": 3}",
                                    "{\"type\": \"bpe\"}",
                                    "{\"type\": \"char\"}",
                                    "{\"type\": \"char\", \"vocab\": []}",
                                    "{\"type\": \"char\", \"vocab\": {}}",
                                    "{\"type\": \"char\", \"vocab\": [\"ab\"]}",
                                    "{\"type\": \"char\", \"vocab\": [\"\"]}",
                                    "{\"type\": \"char\", \"vocab\": [\"b\", \"a\"]}",
                                    "{\"type\": \"char\", \"vocab\": [\"a\", \"a\"]}",
                                    "{\"type\": \"char\", \"vocab\": [1]}",
                                    "{\"type\": \"char\", \"type\": \"byte\"}",
                                    "{\"type\": \"char\", \"vocab\": [\"\xed\xa0\x80\"]}"};
  bench b = begin();
  sn_tokenizer *t;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    int before = b.diags->count;
    assert_int_equal(sn_tokenizer_parse(b.arena, b.diags, "tokenizer.json", bad[i], strlen(bad[i]), &t), SN_ERR_INPUT);
    assert_int_equal(b.diags->count, before + 1);
  }
  size_t n = 1000000;
  char *deep = malloc(n);
  memset(deep, '[', n);
  assert_int_equal(sn_tokenizer_parse(b.arena, b.diags, "tokenizer.json", deep, n, &t), SN_ERR_INPUT);
  free(deep);
  end(&b);
}

/* ---- datasets ----------------------------------------------------------------------------------- */

enum { TEXT = 1000, WINDOW = 16 };

static sn_dataset *dataset(bench *b, double val) {
  char *text = sn_arena_alloc(b->arena, TEXT);
  for (int i = 0; i < TEXT; i++) text[i] = (char)(i * 7 % 251);
  sn_dataset_part parts[] = {{"one", text, 600}, {"two", text + 600, 400}};
  sn_dataset *d = NULL;
  assert_int_equal(sn_dataset_create(b->diags, sn_tokenizer_byte(b->arena), 2, parts, val, WINDOW, 256, &d), SN_OK);
  return d;
}

static void the_split_is_first_and_last(void **state) {
  (void)state;
  bench b = begin();
  sn_dataset *d = dataset(&b, 0.1);
  assert_int_equal(sn_dataset_train_count(d), 900);
  assert_int_equal(sn_dataset_val_count(d), 100);
  assert_int_equal(sn_dataset_val_rows(d), 6);
  int32_t x[WINDOW], y[WINDOW];
  for (int64_t row = 0; row < 6; row++) {
    sn_dataset_val_row(d, row, x, y);
    for (int i = 0; i < WINDOW; i++) {
      assert_int_equal(x[i], (900 + row * WINDOW + i) * 7 % 251);
      assert_int_equal(y[i], (901 + row * WINDOW + i) * 7 % 251);
    }
  }
  sn_dataset_destroy(d);
  d = dataset(&b, 0);
  assert_int_equal(sn_dataset_val_rows(d), 0);
  assert_int_equal(sn_dataset_train_count(d), TEXT);
  sn_dataset_destroy(d);
  end(&b);
}

static int start_of(const int32_t *x) {
  for (int i = 0; i < TEXT; i++) {
    bool same = true;
    for (int k = 0; k < WINDOW && same; k++) same = x[k] == (i + k) * 7 % 251;
    if (same) return i;
  }
  return -1;
}

static void rows_follow_from_seed_and_step(void **state) {
  (void)state;
  bench b = begin();
  sn_dataset *d = dataset(&b, 0.1), *again = dataset(&b, 0.1);
  int32_t x[WINDOW], y[WINDOW], x2[WINDOW], y2[WINDOW];
  int differ = 0, seen[251] = {0};
  for (int64_t step = 0; step < 100; step++) {
    for (int64_t row = 0; row < 4; row++) {
      sn_dataset_train_row(d, 5, step, 4, row, x, y);
      sn_dataset_train_row(again, 5, step, 4, row, x2, y2); /* as a resumed run asks, out of order */
      assert_memory_equal(x, x2, sizeof x);
      assert_memory_equal(y, y2, sizeof y);
      assert_memory_equal(x + 1, y, sizeof x - sizeof *x);
      sn_dataset_train_row(d, 6, step, 4, row, x2, y2);
      differ += memcmp(x, x2, sizeof x) != 0;
      int start = start_of(x);
      assert_true(start >= 0);
      seen[start]++; /* texts repeat after 251 */
    }
  }
  assert_true(differ > 380);
  int distinct = 0;
  for (int i = 0; i < 251; i++) distinct += seen[i] > 0;
  assert_true(distinct > 180);
  assert_true(sn_dataset_hash(d) == sn_dataset_hash(again));
  sn_dataset_destroy(d);
  sn_dataset_destroy(again);
  end(&b);
}

/* Rows across many parts, as bytes and as characters of one, two and three bytes (and so with other ids). */
static void parts_are_one_sequence(void **state) {
  (void)state;
  bench b = begin();
  sn_text all = sn_text_begin(b.arena);
  for (int i = 0; i < 300; i++) sn_text_add(&all, "%s", i % 7 == 0 ? "\xe2\x82\xac" : i % 3 == 0 ? "\xc3\xa9" : "ab");
  for (int kind = 0; kind < 2; kind++) {
    sn_tokenizer *t = kind ? chars(&b, all.at) : sn_tokenizer_byte(b.arena);
    sn_dataset_part whole = {"all", all.at, (size_t)all.count}, parts[60];
    size_t at = 0;
    int count = 0;
    while (at < (size_t)all.count) { /* cut between characters */
      size_t n = (size_t)(count % 29);
      while (at + n < (size_t)all.count && (all.at[at + n] & 0xc0) == 0x80) n++;
      if (at + n > (size_t)all.count) n = (size_t)all.count - at;
      parts[count++] = (sn_dataset_part){"part", all.at + at, n};
      at += n;
    }
    sn_dataset *one, *many;
    assert_int_equal(sn_dataset_create(b.diags, t, 1, &whole, 0.3, WINDOW, 256, &one), SN_OK);
    assert_int_equal(sn_dataset_create(b.diags, t, count, parts, 0.3, WINDOW, 256, &many), SN_OK);
    assert_int_equal(sn_dataset_val_rows(one), sn_dataset_val_rows(many));
    int32_t x[WINDOW], y[WINDOW], x2[WINDOW], y2[WINDOW];
    for (int64_t row = 0; row < 200; row++) {
      sn_dataset_train_row(one, 1, row, 1, 0, x, y);
      sn_dataset_train_row(many, 1, row, 1, 0, x2, y2);
      assert_memory_equal(x, x2, sizeof x);
      assert_memory_equal(y, y2, sizeof y);
    }
    sn_dataset_destroy(one);
    sn_dataset_destroy(many);
  }
  end(&b);
}

static void every_start_is_seen_once_per_epoch(void **state) {
  (void)state;
  bench b = begin();
  char text[240];
  for (int i = 0; i < 240; i++) text[i] = (char)i;
  sn_dataset_part part = {"x", text, sizeof text};
  sn_dataset *d;
  assert_int_equal(sn_dataset_create(b.diags, sn_tokenizer_byte(b.arena), 1, &part, 0, WINDOW, 256, &d), SN_OK);
  int starts = 240 - WINDOW, order[2][240];
  int32_t x[WINDOW], y[WINDOW];
  for (int epoch = 0; epoch < 2; epoch++) {
    bool seen[240] = {false};
    for (int i = 0; i < starts; i++) {
      sn_dataset_train_row(d, 1, epoch * starts + i, 1, 0, x, y);
      assert_true(x[0] >= 0 && x[0] < starts && !seen[x[0]]);
      assert_int_equal(y[WINDOW - 1], x[0] + WINDOW);
      seen[x[0]] = true;
      order[epoch][i] = x[0];
    }
  }
  assert_memory_not_equal(order[0], order[1], sizeof order[0]);
  sn_dataset_destroy(d);
  end(&b);
}

static void bad_data_is_refused(void **state) {
  (void)state;
  bench b = begin();
  sn_dataset *d = NULL;
  char text[40];
  memset(text, 200, sizeof text);
  sn_dataset_part part = {"x", text, 0};
  const sn_tokenizer *t = sn_tokenizer_byte(b.arena);
  assert_int_equal(sn_dataset_create(b.diags, t, 1, &part, 0.1, WINDOW, 256, &d), SN_ERR_INPUT);
  assert_said(&b, "the data is empty");
  part.bytes = WINDOW;
  assert_int_equal(sn_dataset_create(b.diags, t, 1, &part, 0, WINDOW, 256, &d), SN_ERR_INPUT);
  assert_said(&b, "at least 17 tokens");
  part.bytes = WINDOW + 1;
  assert_int_equal(sn_dataset_create(b.diags, t, 1, &part, 0, WINDOW, 256, &d), SN_OK);
  sn_dataset_destroy(d);
  d = NULL;
  part.bytes = 40;
  assert_int_equal(sn_dataset_create(b.diags, t, 1, &part, 0.1, WINDOW, 256, &d), SN_ERR_INPUT);
  assert_said(&b, "validation data is too short");
  assert_int_equal(sn_dataset_create(b.diags, t, 1, &part, 0, WINDOW, 200, &d), SN_ERR_INPUT);
  assert_said(&b, "outside of the model's vocabulary");
  assert_null(d);
  end(&b);
}

/* What was written reads back; what is no recipe is refused with the member's name. */
static void recipes_read_back(void **state) {
  (void)state;
  bench b = begin();
  const sn_run_option option[] = {{"set", "layers=2", true}, {"set", "a=\"\xc3\xa9\"", true}, {"lr", "0.001", false}};
  const sn_run_data data[] = {{"", 0, 0}, {"/d/a b", INT64_MAX, UINT64_MAX}};
  sn_recipe r = {3, 2, option, data}, back;
  sn_text text = sn_text_begin(b.arena), again = sn_text_begin(b.arena);
  sn_recipe_print(&text, &r);
  assert_int_equal(sn_recipe_parse(b.arena, b.diags, "run.json", text.at, (size_t)text.count, &back), SN_OK);
  sn_recipe_print(&again, &back);
  assert_string_equal(text.at, again.at);
  assert_true(back.data[1].bytes == INT64_MAX && back.data[1].hash == UINT64_MAX);
  static const char *const wrong[][2] = {
      {"{", "not valid JSON"},
      {"[]", "options"},
      {"{\"options\": [[\"a\"]], \"data\": []}", "options"},
      {"{\"options\": [[\"a\", 1]], \"data\": []}", "options"},
      {"{\"options\": []}", "data"},
      {"{\"options\": [], \"data\": [1]}", "path"},
      {"{\"options\": [], \"data\": [{\"path\": \"x\", \"bytes\": -1, \"hash\": \"\"}]}", "bytes"},
      {"{\"options\": [], \"data\": [{\"path\": \"x\", \"bytes\": 1, \"hash\": \"1\"}]}", "hash"},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_int_equal(sn_recipe_parse(b.arena, b.diags, "run.json", wrong[i][0], strlen(wrong[i][0]), &back),
                     SN_ERR_INPUT);
    assert_non_null(strstr(b.diags->at[b.diags->count - 1].message, wrong[i][1]));
  }
  end(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(texts_come_back),
      cmocka_unit_test(ids_are_in_order_of_code_points),
      cmocka_unit_test(unknown_characters_are_named),
      cmocka_unit_test(hostile_tokenizer_files_are_refused),
      cmocka_unit_test(the_split_is_first_and_last),
      cmocka_unit_test(rows_follow_from_seed_and_step),
      cmocka_unit_test(recipes_read_back),
      cmocka_unit_test(parts_are_one_sequence),
      cmocka_unit_test(every_start_is_seen_once_per_epoch),
      cmocka_unit_test(bad_data_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
