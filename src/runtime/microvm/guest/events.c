#include "agent.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOOK_MS = 200, LISTENING_MOST = PAYLOAD_MOST - 256, TABLE_MOST = 1 << 20 };
/* TCP_LISTEN, and TCP_CLOSE: a socket of UDP that anybody may send to. */
enum { LISTEN = 0x0a, UNCONNECTED = 0x07 };

static int oom_file = -1;
static bool oom_changed;
static int64_t next_look;

void events_start(struct call *call)
{
	char path[512];
	struct records body = call_body(call);
	call->listeners = record_has(&body, TAG_LISTENERS);
	call->oom_seen = container_oom_kills();
	snprintf(path, sizeof path, "%s/container/memory.events", place.cgroup);
	if (oom_file < 0)
		oom_file = open(path, O_RDONLY | O_CLOEXEC);
	next_look = 0;
}

/* Addresses are words of the host's byte order. */
static void add_listeners(struct text *text, const char *protocol, const char *path, unsigned waiting)
{
	struct text table = { 0 };
	if (!text_read_file(&table, path, TABLE_MOST) || table.data == NULL)
		return;
	char *rest = table.data;
	for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
		char hex[33], address[INET6_ADDRSTRLEN];
		unsigned port, state;
		uint32_t words[4] = { 0 };
		if (sscanf(line, " %*d: %32[0-9A-F]:%x %*[0-9A-F]:%*x %x", hex, &port, &state) != 3 || state != waiting)
			continue;
		for (size_t i = 0; i < strlen(hex) / 8; i++)
			sscanf(hex + 8 * i, "%8x", &words[i]);
		int family = strlen(hex) == 8 ? AF_INET : AF_INET6;
		if (inet_ntop(family, words, address, sizeof address) != NULL && text->length < LISTENING_MOST)
			text_format(text, "%s %s %u\n", protocol, address, port);
	}
	free(table.data);
}

static void look_at_listeners(struct call *call)
{
	struct text text = { 0 };
	text_add(&text, "", 0);
	add_listeners(&text, "tcp", "/proc/net/tcp", LISTEN);
	add_listeners(&text, "tcp", "/proc/net/tcp6", LISTEN);
	add_listeners(&text, "udp", "/proc/net/udp", UNCONNECTED);
	add_listeners(&text, "udp", "/proc/net/udp6", UNCONNECTED);
	if (call->listening != NULL && strcmp(text.data, call->listening) == 0) {
		free(text.data);
		return;
	}
	free(call->listening);
	call->listening = text.data;
	call_event(call, EVENT_LISTENING, text.data, text.length);
}

static void oom_ready(void *subject, short events)
{
	char ignored[512];
	(void)subject;
	(void)events;
	/* What was read last is what the next change is measured by. */
	oom_changed = pread(oom_file, ignored, sizeof ignored, 0) > 0;
}

void events_poll(void)
{
	bool any = false, listeners = false;
	/* Whoever reads too slowly has the later state only. */
	if (container.suspended || !port_has_room())
		return;
	int64_t now = monotonic_ms();
	uint64_t kills = oom_changed ? container_oom_kills() : 0;
	for (struct call *call = calls; call != NULL; call = call->next) {
		if (call->method != METHOD_EVENTS || call->done || call->body_came < call->body_length)
			continue;
		any = true;
		if (oom_changed && kills > call->oom_seen)
			call_event(call, EVENT_OOM, NULL, 0);
		if (oom_changed)
			call->oom_seen = kills;
		listeners = listeners || call->listeners;
		if (call->listeners && now >= next_look)
			look_at_listeners(call);
	}
	oom_changed = false;
	if (listeners && now >= next_look)
		next_look = now + LOOK_MS;
	if (listeners)
		wake_at(next_look);
	if (any && oom_file >= 0)
		poll_add(oom_file, POLLPRI, oom_ready, NULL);
}
