#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	/* Output and events wait while so much does. */
	ROOM = 128 * 1024,
	/* A caller that reads nothing is not heard either, so that its calls' answers do not pile up. */
	MOST = 1 << 20,
	/* What is read in a turn, so that nobody's calls hold up output. */
	TURN = 8 * FRAME_MOST,
	/* A port without a host at its other end is always ready. */
	AWAY_MS = 20,
};

static int port;
static bool is_device, over;
static int64_t away_until;
static uint8_t in[FRAME_MOST];
static size_t in_length;
static uint8_t *out;
static size_t out_start, out_end, out_capacity;

void port_open(int fd)
{
	struct stat status;
	port = fd;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	is_device = fstat(fd, &status) == 0 && S_ISCHR(status.st_mode);
}

bool port_is_over(void)
{
	return over;
}

void port_break(void)
{
	over = true;
}

bool port_has_room(void)
{
	return out_end - out_start < ROOM;
}

static void nobody_there(void)
{
	if (is_device)
		away_until = monotonic_ms() + AWAY_MS;
	else
		over = true;
}

static void flush(void)
{
	while (out_start < out_end) {
		ssize_t written = write(port, out + out_start, out_end - out_start);
		if (written <= 0) {
			if (written < 0 && errno != EAGAIN && errno != EINTR)
				nobody_there();
			return;
		}
		out_start += (size_t)written;
	}
	out_start = out_end = 0;
}

static void append(const void *data, size_t length)
{
	if (length == 0)
		return;
	if (out_capacity - out_end < length && out_start > 0) {
		memmove(out, out + out_start, out_end - out_start);
		out_end -= out_start;
		out_start = 0;
	}
	if (out_capacity - out_end < length) {
		out_capacity = (out_end + length) * 2;
		out = need(realloc(out, out_capacity));
	}
	memcpy(out + out_end, data, length);
	out_end += length;
}

void port_send(enum frame_type type, uint16_t stream, const void *head, size_t head_length, const void *data, size_t length)
{
	uint8_t header[FRAME_HEADER];
	frame_header(header, type, stream, head_length + length);
	append(header, sizeof header);
	append(head, head_length);
	append(data, length);
}

static void take_frames(void)
{
	size_t at = 0;
	while (!over) {
		struct frame frame;
		ssize_t length = frame_parse(in + at, in_length - at, &frame);
		if (length < 0)
			over = true;
		if (length <= 0)
			break;
		calls_frame(&frame);
		at += (size_t)length;
	}
	in_length -= at;
	memmove(in, in + at, in_length);
}

static void receive(void)
{
	for (size_t taken = 0; taken < TURN && !over;) {
		ssize_t came = read(port, in + in_length, sizeof in - in_length);
		if (came < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (came <= 0) {
			nobody_there();
			return;
		}
		taken += (size_t)came;
		in_length += (size_t)came;
		take_frames();
	}
}

static void ready(void *subject, short events)
{
	(void)subject;
	if (events & POLLOUT)
		flush();
	if (events & (POLLIN | POLLHUP | POLLERR))
		receive();
}

void port_poll(void)
{
	flush();
	int64_t now = monotonic_ms();
	if (now < away_until) {
		wake_at(away_until);
		return;
	}
	short events = out_end - out_start < MOST ? POLLIN : 0;
	if (out_start < out_end)
		events |= POLLOUT;
	poll_add(port, events, ready, NULL);
}
