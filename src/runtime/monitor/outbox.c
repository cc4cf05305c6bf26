#include "outbox.h"

#include "monitor.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <fcntl.h>
#include <unistd.h>

enum {
	CONNECT_MS = 10000,
	/* A program looks up a name and shakes hands as well. */
	PROGRAM_MS = 30000,
	FIRST_PAUSE_MS = 100,
	LONGEST_PAUSE_MS = 5000,
	/* A connection that ended sooner counts as an attempt that failed. */
	STABLE_MS = 1000,
	/* What may wait for a connection where options say nothing. */
	WAITING = 1 << 20,
};

enum connection { CLOSED, CONNECTING, OPEN };

struct message {
	struct message *next;
	size_t length;
	unsigned char data[];
};

struct outbox {
	union {
		struct sockaddr any;
		struct sockaddr_un local;
		struct sockaddr_in ip;
		struct sockaddr_in6 ip6;
	} address;
	socklen_t address_length;
	/* A program that connects for us; it is asked anew for each connection. */
	char **program;
	/* The connection was given to us, and there is no other. */
	bool given;
	/* For messages: what was asked for, for people. */
	const char *transport, *place;
	int type;
	bool either_type;
	int fd;
	enum connection connection;
	struct message *first, **end;
	size_t waiting, sent_of_first;
	int64_t opened_at, retry_at, deadline;
	int pause_ms;
	bool settled;
	char error[160];
	uint32_t dropped;
};

static struct outbox *new_outbox(void)
{
	struct outbox *outbox = calloc(1, sizeof *outbox);
	if (outbox == NULL)
		abort();
	outbox->fd = -1;
	outbox->end = &outbox->first;
	outbox->pause_ms = FIRST_PAUSE_MS;
	return outbox;
}

static bool parse_ip(struct outbox *outbox, const char *text)
{
	char host[INET6_ADDRSTRLEN + 2];
	const char *colon = strrchr(text, ':');
	if (colon == NULL || (size_t)(colon - text) >= sizeof host)
		return false;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	uint16_t port = htons((uint16_t)strtol(colon + 1, NULL, 10));
	if (host[0] == '[') {
		host[strlen(host) - 1] = '\0';
		outbox->address.ip6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = port };
		outbox->address_length = sizeof outbox->address.ip6;
		return inet_pton(AF_INET6, host + 1, &outbox->address.ip6.sin6_addr) == 1;
	}
	outbox->address.ip = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = port };
	outbox->address_length = sizeof outbox->address.ip;
	return inet_pton(AF_INET, host, &outbox->address.ip.sin_addr) == 1;
}

static bool parse_path(struct outbox *outbox, const char *path)
{
	outbox->address.local.sun_family = AF_UNIX;
	outbox->address_length = sizeof outbox->address.local;
	if (strlen(path) >= sizeof outbox->address.local.sun_path)
		return false;
	strcpy(outbox->address.local.sun_path, path);
	return true;
}

static bool parse_address(struct outbox *outbox, const char *text)
{
	static const struct {
		const char *name, *transport;
		int type;
		bool is_path, either_type;
	} known[] = {
		{ "udp:", "udp", SOCK_DGRAM, false, false },
		{ "tcp:", "tcp", SOCK_STREAM, false, false },
		{ "unix:", "unix", SOCK_STREAM, true, false },
		{ "unixgram:", "unixgram", SOCK_DGRAM, true, false },
		{ "local:", "unixgram", SOCK_DGRAM, true, true },
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		size_t length = strlen(known[i].name);
		if (strncmp(text, known[i].name, length) != 0)
			continue;
		outbox->transport = known[i].transport;
		outbox->place = text + length;
		outbox->type = known[i].type;
		outbox->either_type = known[i].either_type;
		return (known[i].is_path ? parse_path : parse_ip)(outbox, outbox->place);
	}
	return false;
}

static void close_connection(struct outbox *outbox)
{
	if (outbox->fd >= 0)
		close(outbox->fd);
	outbox->fd = -1;
	outbox->connection = CLOSED;
	/* A message that was sent in part goes out anew, whole. */
	outbox->sent_of_first = 0;
}

static void pause_before_next(struct outbox *outbox)
{
	outbox->retry_at = monotonic_ms() + outbox->pause_ms;
	outbox->pause_ms = outbox->pause_ms * 2 < LONGEST_PAUSE_MS ? outbox->pause_ms * 2 : LONGEST_PAUSE_MS;
}

static void attempt_failed(struct outbox *outbox, const char *why)
{
	if (!outbox->settled)
		snprintf(outbox->error, sizeof outbox->error, "%s", why);
	outbox->settled = true;
	close_connection(outbox);
	pause_before_next(outbox);
}

/* In the words of Go's net package, which users of Docker know. */
static void connect_failed(struct outbox *outbox, int error)
{
	char words[80], why[160];
	snprintf(words, sizeof words, "%s", error == ETIMEDOUT ? "i/o timeout" : strerror(error));
	words[0] = (char)tolower(words[0]);
	snprintf(why, sizeof why, "dial %s %s: connect: %s", outbox->transport, outbox->place, words);
	attempt_failed(outbox, why);
}

static void opened(struct outbox *outbox)
{
	outbox->connection = OPEN;
	outbox->settled = true;
	outbox->opened_at = monotonic_ms();
}

static void lost_connection(struct outbox *outbox)
{
	close_connection(outbox);
	if (monotonic_ms() - outbox->opened_at > STABLE_MS) {
		outbox->pause_ms = FIRST_PAUSE_MS;
		outbox->retry_at = 0;
	} else {
		pause_before_next(outbox);
	}
}

static void run_program(struct outbox *outbox)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
		connect_failed(outbox, errno);
		return;
	}
	const int stdio[3] = { ends[1], STDOUT_FILENO, STDERR_FILENO };
	outbox->fd = ends[0];
	pid_t pid = spawn_program(outbox->program, stdio);
	int error = errno;
	close(ends[1]);
	if (pid < 0) {
		connect_failed(outbox, error);
		return;
	}
	outbox->connection = CONNECTING;
	outbox->deadline = monotonic_ms() + PROGRAM_MS;
}

/* One byte when it is connected, else why it is not. */
static void read_answer(struct outbox *outbox)
{
	char answer[sizeof outbox->error] = "";
	ssize_t length = recv(outbox->fd, answer, sizeof answer - 1, MSG_DONTWAIT);
	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length > 0 && answer[0] == '+')
		opened(outbox);
	else
		attempt_failed(outbox, length > 0 ? answer : "the connection was closed");
}

static void open_connection(struct outbox *outbox)
{
	if (outbox->program != NULL) {
		run_program(outbox);
		return;
	}
	outbox->fd = socket(outbox->address.any.sa_family, outbox->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (outbox->fd < 0 || connect(outbox->fd, &outbox->address.any, outbox->address_length) == 0) {
		if (outbox->fd < 0)
			connect_failed(outbox, errno);
		else
			opened(outbox);
	} else if (errno == EINPROGRESS) {
		outbox->connection = CONNECTING;
		outbox->deadline = monotonic_ms() + CONNECT_MS;
	} else if (errno == EPROTOTYPE && outbox->either_type && outbox->type == SOCK_DGRAM) {
		close_connection(outbox);
		outbox->type = SOCK_STREAM;
		open_connection(outbox);
	} else {
		int error = errno;
		if (outbox->either_type)
			outbox->type = SOCK_DGRAM;
		connect_failed(outbox, error);
	}
}

struct outbox *outbox_connect(const char *address)
{
	struct outbox *outbox = new_outbox();
	if (!parse_address(outbox, address)) {
		free(outbox);
		return NULL;
	}
	open_connection(outbox);
	return outbox;
}

struct outbox *outbox_relay(char **program)
{
	struct outbox *outbox = new_outbox();
	outbox->program = program;
	outbox->address.any.sa_family = AF_UNIX;
	outbox->type = SOCK_STREAM;
	outbox->transport = "by";
	outbox->place = program[0];
	open_connection(outbox);
	return outbox;
}

struct outbox *outbox_adopt(int fd)
{
	struct outbox *outbox = new_outbox();
	outbox->given = true;
	outbox->address.any.sa_family = AF_UNIX;
	outbox->fd = fd;
	outbox->type = SOCK_SEQPACKET;
	opened(outbox);
	return outbox;
}

/* A datagram larger than the socket takes: journald reads it from a sealed memory file instead (sd_journal_send's way). */
static ssize_t send_as_file(int fd, const void *data, size_t length)
{
	int file = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (file < 0)
		return -1;
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	memcpy(CMSG_DATA(&control.header), &file, sizeof file);
	struct msghdr message = { .msg_control = &control, .msg_controllen = sizeof control };
	ssize_t result = -1;
	if (write_all(file, data, length) &&
	    fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0 &&
	    sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		result = (ssize_t)length;
	int error = errno;
	close(file);
	errno = error;
	return result;
}

/* How many bytes were taken; -1 with EAGAIN when it must wait, with another error when the connection is gone. */
static ssize_t send_some(struct outbox *outbox, const unsigned char *data, size_t length)
{
	bool is_ip = outbox->address.any.sa_family != AF_UNIX;
	for (int tries = 0;; tries++) {
		ssize_t sent = send(outbox->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent >= 0)
			return sent;
		if (errno == EINTR)
			continue;
		if (outbox->type == SOCK_DGRAM && !is_ip && errno == EMSGSIZE)
			return send_as_file(outbox->fd, data, length);
		if (outbox->type == SOCK_DGRAM && is_ip && errno != EAGAIN) {
			/* The first error may be an earlier datagram's, come back by ICMP. Nobody answers for this one. */
			if (tries > 0)
				return (ssize_t)length;
			continue;
		}
		return -1;
	}
}

static void remove_first(struct outbox *outbox)
{
	struct message *message = outbox->first;
	outbox->first = message->next;
	if (outbox->first == NULL)
		outbox->end = &outbox->first;
	outbox->waiting -= message->length;
	outbox->sent_of_first = 0;
	free(message);
}

static void push(struct outbox *outbox)
{
	while (outbox->first != NULL) {
		struct message *message = outbox->first;
		ssize_t sent = send_some(outbox, message->data + outbox->sent_of_first, message->length - outbox->sent_of_first);
		if (sent < 0) {
			if (errno != EAGAIN)
				lost_connection(outbox);
			return;
		}
		outbox->sent_of_first += (size_t)sent;
		if (outbox->type != SOCK_STREAM || outbox->sent_of_first == message->length)
			remove_first(outbox);
	}
}

static bool has_room(const struct outbox *outbox, size_t length)
{
	/* The process waits for whoever is slow: no more comes than one turn of the loop has read. */
	if (!options.log_may_drop && outbox->connection == OPEN)
		return true;
	size_t most = options.log_may_drop ? options.log_buffer : WAITING;
	return outbox->first == NULL || outbox->waiting + length <= most;
}

static bool keep(struct outbox *outbox, const void *data, size_t length)
{
	if (!has_room(outbox, length))
		return false;
	struct message *message = malloc(sizeof *message + length);
	if (message == NULL)
		return false;
	message->next = NULL;
	message->length = length;
	memcpy(message->data, data, length);
	*outbox->end = message;
	outbox->end = &message->next;
	outbox->waiting += length;
	return true;
}

static bool can_connect(const struct outbox *outbox)
{
	return outbox->connection == CLOSED && !outbox->given;
}

void outbox_send(struct outbox *outbox, const void *data, size_t length)
{
	if (can_connect(outbox) && monotonic_ms() >= outbox->retry_at)
		open_connection(outbox);
	size_t sent = 0;
	if (outbox->connection == OPEN && outbox->first == NULL) {
		ssize_t taken = send_some(outbox, data, length);
		if (taken == (ssize_t)length)
			return;
		if (taken >= 0)
			sent = (size_t)taken;
		else if (errno != EAGAIN)
			lost_connection(outbox);
	}
	if ((outbox->connection == CLOSED && outbox->given) || !keep(outbox, data, length))
		outbox->dropped++;
	else if (sent > 0)
		outbox->sent_of_first = sent;
}

bool outbox_settled(const struct outbox *outbox)
{
	return outbox->settled;
}

const char *outbox_error(const struct outbox *outbox)
{
	return outbox->error[0] != '\0' ? outbox->error : NULL;
}

bool outbox_takes(const struct outbox *outbox)
{
	return outbox->connection != OPEN || outbox->first == NULL;
}

bool outbox_empty(const struct outbox *outbox)
{
	return outbox->first == NULL || (outbox->connection == CLOSED && monotonic_ms() < outbox->retry_at);
}

uint32_t outbox_take_dropped(struct outbox *outbox)
{
	uint32_t dropped = outbox->dropped;
	outbox->dropped = 0;
	return dropped;
}

void outbox_close(struct outbox *outbox)
{
	close_connection(outbox);
	while (outbox->first != NULL) {
		outbox->dropped++;
		remove_first(outbox);
	}
	outbox->given = true;
}

static void ready(void *subject, short events)
{
	struct outbox *outbox = subject;
	if (outbox->connection == CONNECTING && outbox->program != NULL) {
		read_answer(outbox);
	} else if (outbox->connection == CONNECTING) {
		int error = 0;
		socklen_t size = sizeof error;
		getsockopt(outbox->fd, SOL_SOCKET, SO_ERROR, &error, &size);
		if (error != 0)
			connect_failed(outbox, error);
		else
			opened(outbox);
	} else if ((events & ~POLLOUT) != 0) {
		/* Nobody has anything to say to us: it is the end, or the error that comes with it. */
		char ignored[256];
		ssize_t length = recv(outbox->fd, ignored, sizeof ignored, MSG_DONTWAIT);
		if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR))
			lost_connection(outbox);
	}
	if (outbox->connection == OPEN)
		push(outbox);
}

void outbox_poll(struct outbox *outbox)
{
	int64_t now = monotonic_ms();
	if (outbox->connection == CONNECTING && now >= outbox->deadline)
		connect_failed(outbox, ETIMEDOUT);
	if (can_connect(outbox) && outbox->first != NULL && now >= outbox->retry_at) {
		open_connection(outbox);
		if (outbox->connection == OPEN)
			push(outbox);
	}
	/* Of a connection the end is waited for; datagrams only have errors, which come back with the next one. */
	short events = outbox->type == SOCK_DGRAM ? 0 : POLLIN;
	bool connects = outbox->connection == CONNECTING && outbox->program == NULL;
	if (connects || (outbox->connection == OPEN && outbox->first != NULL))
		events |= POLLOUT;
	if (outbox->fd >= 0 && events != 0)
		poll_add(outbox->fd, events, ready, outbox);
}

int outbox_patience(const struct outbox *outbox)
{
	if (outbox->connection == CONNECTING)
		return until(outbox->deadline);
	return can_connect(outbox) && outbox->first != NULL ? until(outbox->retry_at) : -1;
}
