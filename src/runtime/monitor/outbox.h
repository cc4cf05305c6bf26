/*
 * Messages on their way to a socket that may be slow, away for a while, or new again at the same address.
 *
 * While it is open and takes what it is given, nothing is held. What it does not take waits in memory. While there is no
 * connection, one is tried for as soon as there is something to send, and then again and again, after pauses that grow.
 */
#ifndef HULL_MONITOR_OUTBOX_H
#define HULL_MONITOR_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outbox;

/*
 * `address` is TRANSPORT:ADDRESS. `udp:` and `tcp:` have an IP address and a port, `unix:`, `unixgram:` and `local:` (either of
 * the two) a path. Begins to connect. NULL when it is no address.
 */
struct outbox *outbox_connect(const char *address);
/*
 * Through a program, NULL at the end of its arguments, that carries what comes on its stdin, a stream socket, to where it belongs. It
 * says "+" there once it is connected, or why it is not, and ends when the connection does.
 */
struct outbox *outbox_relay(char **program);
/* Over a connected socket that keeps messages apart; once it is gone it stays so. */
struct outbox *outbox_adopt(int fd);

/* Dropped when too much waits. */
void outbox_send(struct outbox *outbox, const void *data, size_t length);
/* How many were dropped since this was last asked. */
uint32_t outbox_take_dropped(struct outbox *outbox);

/* The first attempt to connect has succeeded or failed; why it failed, or NULL. */
bool outbox_settled(const struct outbox *outbox);
const char *outbox_error(const struct outbox *outbox);
/* False while an open connection does not take what waits for it. */
bool outbox_takes(const struct outbox *outbox);
/* Nothing waits, or there is nobody to wait for. */
bool outbox_empty(const struct outbox *outbox);
/* What still waits is dropped. */
void outbox_close(struct outbox *outbox);

void outbox_poll(struct outbox *outbox);
/* Milliseconds until outbox_poll has something to do by itself; -1: never. */
int outbox_patience(const struct outbox *outbox);

#endif
