#include "monitor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum { HEADER_SIZE = 8, CONTROL_SIZE = 16 };

/* What a client may leave untaken before output waits for it; after the process's end its pipes must be emptied all the same. */
enum { PENDING_WHILE_RUNNING = 0, PENDING_AFTER_END = 4 << 20 };

struct client {
	struct client *next;
	int fd;
	bool wants_output, wants_stdin, deaf;
	/* The frame being received. */
	unsigned char head[HEADER_SIZE + CONTROL_SIZE];
	size_t head_length;
	uint32_t stdin_left;
	/* Bytes the socket did not take. */
	unsigned char *pending;
	size_t pending_length, pending_offset, pending_capacity;
};

static struct client *clients;
static int listener = -1;
/* Out of descriptors: connections wait until then. */
static int64_t accept_after;

void clients_listen(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strncpy(address.sun_path, path, sizeof address.sun_path - 1);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t usual = umask(077);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 64) != 0)
		_exit(1);
	umask(usual);
}

void clients_stop_listening(void)
{
	unlink("sock");
	close(listener);
	listener = -1;
}

static void client_free(struct client *client)
{
	struct client **at = &clients;
	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	close(client->fd);
	free(client->pending);
	free(client);
}

/* Marks a client as gone; it is freed at the start of the next turn, when no poll event can name it any more. */
static void client_drop(struct client *client)
{
	if (client->fd < 0)
		return;
	close(client->fd);
	client->fd = -1;
	client->pending_length = 0;
	if (client->wants_stdin && options.stdin_once)
		stdin_close();
}

/* Sending failed, so nobody listens; what the client had sent before that is still read, to its end. */
static void client_stop_sending(struct client *client)
{
	client->wants_output = false;
	client->deaf = true;
	client->pending_length = 0;
}

static void keep(struct client *client, const void *data, size_t length)
{
	if (length == 0)
		return;
	if (client->pending_length == 0)
		client->pending_offset = 0;
	size_t end = client->pending_offset + client->pending_length;
	if (end + length > client->pending_capacity) {
		unsigned char *grown = realloc(client->pending, end + length);
		if (grown == NULL)
			abort();
		client->pending = grown;
		client->pending_capacity = end + length;
	}
	memcpy(client->pending + end, data, length);
	client->pending_length += length;
}

static void client_send(struct client *client, enum frame_type type, const void *data, size_t length)
{
	unsigned char header[HEADER_SIZE] = { (unsigned char)type };
	put_u32(header + 4, (uint32_t)length);
	size_t sent = 0;
	if (client->fd < 0 || client->deaf)
		return;
	if (client->pending_length == 0) {
		struct iovec parts[2] = { { header, HEADER_SIZE }, { (void *)(uintptr_t)data, length } };
		struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
		ssize_t result;
		do
			result = sendmsg(client->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		while (result < 0 && errno == EINTR);
		if (result < 0 && errno != EAGAIN) {
			client_stop_sending(client);
			return;
		}
		sent = result > 0 ? (size_t)result : 0;
	}
	if (sent < HEADER_SIZE) {
		keep(client, header + sent, HEADER_SIZE - sent);
		sent = HEADER_SIZE;
	}
	sent -= HEADER_SIZE;
	if (length > sent)
		keep(client, (const unsigned char *)data + sent, length - sent);
}

static void client_flush(struct client *client)
{
	while (client->pending_length > 0) {
		ssize_t sent = send(client->fd, client->pending + client->pending_offset, client->pending_length,
				    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			return;
		if (sent <= 0) {
			client_stop_sending(client);
			break;
		}
		client->pending_offset += (size_t)sent;
		client->pending_length -= (size_t)sent;
	}
	free(client->pending);
	client->pending = NULL;
	client->pending_offset = client->pending_capacity = 0;
}

static void send_hello(struct client *client)
{
	unsigned char hello[9] = { (unsigned char)state };
	put_u32(hello + 1, (uint32_t)getpid());
	put_u32(hello + 5, (uint32_t)process_pid);
	client_send(client, FRAME_HELLO, hello, sizeof hello);
}

void clients_add(int fd)
{
	struct client *client = calloc(1, sizeof *client);
	if (client == NULL) {
		close(fd);
		return;
	}
	client->fd = fd;
	client->next = clients;
	clients = client;
	send_hello(client);
}

static void client_attach(struct client *client, unsigned char wants)
{
	client->wants_output = (wants & ATTACH_OUTPUT) != 0;
	client->wants_stdin = (wants & ATTACH_STDIN) != 0;
	send_hello(client);
}

static bool client_control(struct client *client, unsigned char type, const unsigned char *payload, size_t length)
{
	if (type == FRAME_ATTACH && length == 1)
		client_attach(client, payload[0]);
	else if (type == FRAME_START && length == 0)
		runtime_start();
	else if (type == FRAME_RESIZE && length == 4)
		stdio_resize((uint16_t)(payload[0] << 8 | payload[1]), (uint16_t)(payload[2] << 8 | payload[3]));
	else
		return false;
	return true;
}

/* Takes one frame, or the part of it that is there; how many bytes that were, 0 when the client broke the rules. */
static size_t client_frame(struct client *client, const unsigned char *data, size_t length)
{
	if (client->stdin_left > 0) {
		size_t part = length < client->stdin_left ? length : client->stdin_left;
		stdin_write(data, part);
		client->stdin_left -= (uint32_t)part;
		return part;
	}
	size_t used = 0, wanted = HEADER_SIZE;
	uint32_t payload = 0;
	while (true) {
		if (client->head_length >= HEADER_SIZE) {
			payload = get_u32(client->head + 4);
			if (client->head[0] != FRAME_STDIN) {
				if (payload > CONTROL_SIZE)
					return 0;
				wanted = HEADER_SIZE + payload;
			}
		}
		if (client->head_length == wanted)
			break;
		if (used == length)
			return used;
		client->head[client->head_length++] = data[used++];
	}
	client->head_length = 0;
	if (client->head[0] != FRAME_STDIN)
		return client_control(client, client->head[0], client->head + HEADER_SIZE, payload) ? used : 0;
	if (!client->wants_stdin)
		return 0;
	if (payload == 0)
		stdin_close();
	client->stdin_left = payload;
	return used;
}

static void client_read(struct client *client)
{
	static unsigned char chunk[CHUNK_SIZE];
	ssize_t length = recv(client->fd, chunk, sizeof chunk, MSG_DONTWAIT);
	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length <= 0) {
		client_drop(client);
		return;
	}
	for (size_t at = 0; at < (size_t)length && client->fd >= 0;) {
		size_t used = client_frame(client, chunk + at, (size_t)length - at);
		if (used == 0) {
			client_drop(client);
			return;
		}
		at += used;
	}
}

static void client_ready(void *subject, short events)
{
	struct client *client = subject;
	if (client->fd >= 0 && (events & POLLOUT) != 0)
		client_flush(client);
	if (client->fd < 0)
		return;
	/* A hang-up is seen as the end of what it sent. */
	if ((events & POLLIN) != 0)
		client_read(client);
}

static void listener_ready(void *subject, short events)
{
	(void)subject;
	(void)events;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		clients_add(fd);
	else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		accept_after = monotonic_ms() + 100;
}

void clients_poll(void)
{
	if (listener >= 0 && (accept_after == 0 || monotonic_ms() >= accept_after)) {
		accept_after = 0;
		poll_add(listener, POLLIN, listener_ready, NULL);
	}
	for (struct client *client = clients, *next; client != NULL; client = next) {
		next = client->next;
		if (client->fd < 0) {
			client_free(client);
			continue;
		}
		short events = client->pending_length > 0 ? POLLOUT : 0;
		bool reads = !client->wants_stdin || stdin_accepts();
		if (reads)
			events |= POLLIN;
		/*
		 * What a client that hung up had sent before is read first, so it may have to wait with the process's stdin;
		 * polling it meanwhile would only report the hang-up over and over.
		 */
		if (events != 0)
			poll_add(client->fd, events, client_ready, client);
	}
}

bool clients_any(void)
{
	for (struct client *client = clients; client != NULL; client = client->next)
		if (client->fd >= 0)
			return true;
	return false;
}

bool clients_idle(void)
{
	for (struct client *client = clients; client != NULL; client = client->next)
		if (client->pending_length > 0)
			return false;
	return true;
}

bool clients_took_output(void)
{
	size_t most = process_ended ? PENDING_AFTER_END : PENDING_WHILE_RUNNING;
	for (struct client *client = clients; client != NULL; client = client->next)
		if (client->wants_output && client->pending_length > most)
			return false;
	return true;
}

void clients_send_output(int stream, const void *data, size_t length)
{
	enum frame_type type = stream == STREAM_STDOUT ? FRAME_STDOUT : FRAME_STDERR;
	for (struct client *client = clients; client != NULL; client = client->next)
		if (client->wants_output)
			client_send(client, type, data, length);
}

void clients_send_event(enum frame_type type, const void *data, size_t length)
{
	for (struct client *client = clients; client != NULL; client = client->next)
		client_send(client, type, data, length);
}
