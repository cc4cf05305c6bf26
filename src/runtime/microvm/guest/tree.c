#include "agent.h"
void tree(const struct records *body) { (void)body; fail(38,"x"); }
void tree_write(int d, int to) { (void)d; (void)to; }
