#include "agent.h"
void plant(const struct records *body) { (void)body; fail(38,"x"); }
const char *plant_read(int d, int from) { (void)d; (void)from; return NULL; }
