#include "agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How soon a terminal is looked at again that nobody has open: somebody may open it. Closed, it would hang up its processes. */
enum { HANG_UP_MS = 50 };

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void end_output(struct call *call, enum channel channel)
{
	struct output *output = &call->out[channel - 1];
	/* A terminal is one descriptor for both ways. */
	if (call->terminal && call->in.fd == output->fd)
		call->in.fd = -1;
	close_end(&output->fd);
	uint8_t head = (uint8_t)channel;
	port_send(FRAME_DATA, call->stream, &head, 1, NULL, 0);
}

static void read_output(struct call *call, enum channel channel)
{
	uint8_t data[DATA_MOST];
	struct output *output = &call->out[channel - 1];
	size_t most = call->cancelled || output->credit > sizeof data ? sizeof data : (size_t)output->credit;
	if (output->fd < 0 || most == 0 || call_is_held(call) || !port_has_room())
		return;
	ssize_t length = read(output->fd, data, most);
	if (length < 0 && errno == EINTR)
		return;
	/* Others may still hold the other end of an ended process's pipe; what it said is all there. */
	if (length < 0 && errno == EAGAIN && !call->reaped)
		return;
	if (length < 0 && call->terminal && !call->reaped) {
		output->hung_up_until = monotonic_ms() + HANG_UP_MS;
	} else if (length <= 0) {
		end_output(call, channel);
	} else if (!call->cancelled) {
		uint8_t head = (uint8_t)channel;
		output->credit -= (uint64_t)length;
		port_send(FRAME_DATA, call->stream, &head, 1, data, (size_t)length);
	}
}

static void out_ready(void *subject, short events)
{
	(void)events;
	read_output(subject, CHANNEL_OUT);
}

static void error_ready(void *subject, short events)
{
	(void)events;
	read_output(subject, CHANNEL_ERROR);
}

static void give_credit(struct call *call)
{
	uint8_t payload[5] = { CHANNEL_IN };
	struct input *in = &call->in;
	if (in->owed == 0 || (in->owed < FIRST_CREDIT / 4 && in->length > 0))
		return;
	put_u32(payload + 1, in->owed);
	in->credit += in->owed;
	in->owed = 0;
	port_send(FRAME_CREDIT, call->stream, payload, sizeof payload, NULL, 0);
}

/* A terminal stays open without input, as it is also the way out. */
static void end_input(struct call *call)
{
	if (call->terminal)
		call->in.fd = -1;
	else
		close_end(&call->in.fd);
	call->in.owed += (uint32_t)call->in.length;
	call->in.length = 0;
}

static void in_ready(void *subject, short events)
{
	struct call *call = subject;
	struct input *in = &call->in;
	(void)events;
	if (in->fd < 0 || call_is_held(call))
		return;
	if (in->length > 0) {
		ssize_t written = write(in->fd, in->waiting + in->start, in->length);
		if (written < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (written < 0) {
			end_input(call);
		} else {
			in->start += (size_t)written;
			in->length -= (size_t)written;
			in->owed += (uint32_t)written;
		}
	}
	if (in->ended && in->length == 0)
		end_input(call);
	give_credit(call);
}

void streams_poll(struct call *call)
{
	struct input *in = &call->in;
	if (in->fd >= 0 && (in->length > 0 || in->ended))
		poll_add(in->fd, POLLOUT, in_ready, call);
	/* STARTED comes before all output. */
	if (call->method == METHOD_RUN && !call->started && !call->reaped)
		return;
	for (enum channel channel = CHANNEL_OUT; channel < CHANNELS; channel++) {
		const struct output *output = &call->out[channel - 1];
		if (output->fd < 0 || !port_has_room() || (output->credit == 0 && !call->cancelled))
			continue;
		if (!call->reaped && output->hung_up_until > monotonic_ms()) {
			wake_at(output->hung_up_until);
			continue;
		}
		if (call->reaped)
			read_output(call, channel);
		if (output->fd >= 0)
			poll_add(output->fd, POLLIN, channel == CHANNEL_OUT ? out_ready : error_ready, call);
		if (call->reaped)
			wake_at(0);
	}
}

void streams_take(struct call *call, const uint8_t *data, size_t length)
{
	struct input *in = &call->in;
	if (length > in->credit) {
		port_break();
		return;
	}
	in->credit -= (uint32_t)length;
	if (length == 0)
		in->ended = true;
	bool is_early = call->terminal && !call->terminal_came;
	if ((in->fd < 0 && !is_early) || in->ended) {
		in->owed += (uint32_t)length;
		give_credit(call);
		return;
	}
	if (in->waiting == NULL)
		in->waiting = need(malloc(FIRST_CREDIT));
	/* Never more than the credit that was given. */
	memmove(in->waiting, in->waiting + in->start, in->length);
	in->start = 0;
	memcpy(in->waiting + in->length, data, length);
	in->length += length;
}

bool streams_credit(struct call *call, enum channel channel, uint32_t bytes)
{
	if (channel == CHANNEL_IN)
		return false;
	struct output *output = &call->out[channel - 1];
	output->credit += bytes;
	return output->credit <= UINT32_MAX;
}

bool streams_ended(const struct call *call)
{
	return call->out[0].fd < 0 && call->out[1].fd < 0;
}

void streams_begin_anew(struct call *call)
{
	struct input *in = &call->in;
	in->credit = 0;
	in->owed = FIRST_CREDIT - (uint32_t)in->length;
	give_credit(call);
	for (enum channel channel = CHANNEL_OUT; channel < CHANNELS; channel++) {
		struct output *output = &call->out[channel - 1];
		output->credit = FIRST_CREDIT;
		if (output->fd < 0 && !call->terminal)
			end_output(call, channel);
	}
}

void streams_close(struct call *call)
{
	if (call->in.fd != call->out[0].fd)
		close_end(&call->in.fd);
	for (int i = 0; i < CHANNELS - 1; i++)
		close_end(&call->out[i].fd);
	free(call->in.waiting);
}
