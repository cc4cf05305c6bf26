#include "vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

void link_open(struct link *link, int fd)
{
	link->fd = fd;
	link->first = NULL;
	link->last = &link->first;
	link->pending = link->received = 0;
	link->held = false;
}

static void drop_pending(struct link *link)
{
	while (link->first != NULL) {
		struct outgoing *frame = link->first;
		link->first = frame->next;
		free(frame);
	}
	link->last = &link->first;
	link->pending = 0;
	link->held = false;
}

void link_close(struct link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
	drop_pending(link);
}

/* How much of it the socket took; nobody listening any more is found out by reading. */
static size_t push(struct link *link, struct iovec *parts, int count, size_t length)
{
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = count };
	ssize_t sent;
	do
		sent = sendmsg(link->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == EAGAIN ? 0 : length;
	return (size_t)sent;
}

void link_send(struct link *link, enum frame_type type, uint16_t stream, const void *one, size_t one_length, const void *two,
	       size_t two_length)
{
	if (link->fd < 0)
		return;
	unsigned char header[FRAME_HEADER];
	frame_header(header, type, stream, one_length + two_length);
	size_t size = FRAME_HEADER + one_length + two_length, sent = 0;
	if (link->pending == 0 && !link->held) {
		struct iovec parts[3] = { { header, FRAME_HEADER },
					  { (void *)(uintptr_t)one, one_length },
					  { (void *)(uintptr_t)two, two_length } };
		sent = push(link, parts, 3, size);
		if (sent == size)
			return;
	}
	struct outgoing *frame = allocate(sizeof *frame + size);
	frame->next = NULL;
	frame->size = size;
	frame->sent = sent;
	memcpy(frame->bytes, header, FRAME_HEADER);
	if (one_length > 0)
		memcpy(frame->bytes + FRAME_HEADER, one, one_length);
	if (two_length > 0)
		memcpy(frame->bytes + FRAME_HEADER + one_length, two, two_length);
	*link->last = frame;
	link->last = &frame->next;
	link->pending += size - sent;
}

void link_send_credit(struct link *link, uint16_t stream, enum channel channel, uint32_t bytes)
{
	unsigned char payload[5] = { (unsigned char)channel };
	put_u32(payload + 1, bytes);
	link_send(link, FRAME_CREDIT, stream, payload, sizeof payload, NULL, 0);
}

void link_send_data(struct link *link, uint16_t stream, enum channel channel, const void *data, size_t length)
{
	unsigned char head = (unsigned char)channel;
	link_send(link, FRAME_DATA, stream, &head, 1, data, length);
}

void link_send_result(struct link *link, uint16_t stream, uint32_t error, const void *answer, size_t length)
{
	unsigned char number[4];
	put_u32(number, error);
	if (length > PAYLOAD_MOST - sizeof number)
		length = PAYLOAD_MOST - sizeof number;
	link_send(link, FRAME_RESULT, stream, number, sizeof number, answer, length);
}

void link_send_call(struct link *link, uint16_t stream, enum method method, const void *body, size_t length)
{
	const unsigned char *at = body;
	unsigned char head[CALL_HEADER] = { (unsigned char)method };
	put_u32(head + 1, (uint32_t)length);
	size_t part = length < PAYLOAD_MOST - sizeof head ? length : PAYLOAD_MOST - sizeof head;
	link_send(link, FRAME_CALL, stream, head, sizeof head, at, part);
	for (at += part, length -= part; length > 0; at += part, length -= part) {
		part = length < PAYLOAD_MOST ? length : PAYLOAD_MOST;
		link_send(link, FRAME_BODY, stream, at, part, NULL, 0);
	}
}

void link_send_control(struct link *link, uint16_t stream, enum control kind, const unsigned char value[4])
{
	unsigned char head = (unsigned char)kind;
	link_send(link, FRAME_CONTROL, stream, &head, 1, value, 4);
}

void link_withdraw_event(struct link *link, uint16_t stream, uint8_t kind)
{
	for (struct outgoing **at = &link->first; *at != NULL; at = &(*at)->next) {
		struct outgoing *frame = *at;
		if (frame->sent > 0 || frame->bytes[0] != FRAME_EVENT || get_u16(frame->bytes + 2) != stream ||
		    frame->bytes[FRAME_HEADER] != kind)
			continue;
		*at = frame->next;
		if (frame->next == NULL)
			link->last = at;
		link->pending -= frame->size;
		free(frame);
		return;
	}
}

void link_hold(struct link *link)
{
	link->held = true;
	link->unheld = link->pending;
}

void link_release(struct link *link)
{
	link->held = false;
}

bool link_is_waiting(const struct link *link)
{
	return link->held ? link->unheld > 0 : link->pending > 0;
}

void link_flush(struct link *link)
{
	while (link_is_waiting(link)) {
		struct outgoing *frame = link->first;
		struct iovec part = { frame->bytes + frame->sent, frame->size - frame->sent };
		size_t sent = push(link, &part, 1, part.iov_len);
		frame->sent += sent;
		link->pending -= sent;
		if (link->held)
			link->unheld -= sent;
		if (frame->sent < frame->size)
			return;
		link->first = frame->next;
		if (link->first == NULL)
			link->last = &link->first;
		free(frame);
	}
}

enum link_state link_read(struct link *link, frame_taker take, void *subject)
{
	ssize_t got = recv(link->fd, link->buffer + link->received, sizeof link->buffer - link->received, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return LINK_EMPTY;
	if (got <= 0)
		return LINK_ENDED;
	link->received += (size_t)got;
	size_t at = 0;
	for (;;) {
		struct frame frame;
		ssize_t size = frame_parse(link->buffer + at, link->received - at, &frame);
		if (size < 0)
			return LINK_BROKEN;
		if (size == 0)
			break;
		if (!take(subject, &frame))
			return LINK_BROKEN;
		/* Whoever took it may have closed the link. */
		if (link->fd < 0)
			return LINK_OPEN;
		at += (size_t)size;
	}
	link->received -= at;
	memmove(link->buffer, link->buffer + at, link->received);
	return LINK_OPEN;
}
