/*
 * What the loops of hull-monitor, hull-vm and hull-agent are made of: one wait in poll(2) a turn, and moments of the monotonic clock.
 */
#ifndef HULL_LOOP_H
#define HULL_LOOP_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

/* clock.c */
int64_t monotonic_ms(void);
/* Milliseconds from now to a moment of that clock, for poll; the sooner of two such, of which -1 is never. */
int until(int64_t moment);
int sooner(int one, int other);

/* poll_set.c: the descriptors of one turn of the loop. */
void poll_reset(void);
void poll_add(int fd, short events, void (*ready)(void *subject, short events), void *subject);
void poll_run(int timeout_ms);

#endif
