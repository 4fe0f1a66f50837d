/* rec.rnn: the adding problem. */
#ifndef SN_TESTS_ROWS_ADDING_H
#define SN_TESTS_ROWS_ADDING_H

/* Mean squared error on fresh samples of length 100, after at most so many runs; the best constant has 1 / 6. */
double adding_error(int steps, double enough);

#endif
