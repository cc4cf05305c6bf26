#include "vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENTS_MAX = 256, PENDING_MAX = 1 << 20, RETRY_MS = 100 };

struct client *clients;
static int listener = -1;
static size_t clients_count;
/* Out of descriptors: connections wait until then. */
static int64_t accept_after;

void clients_listen(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, path);
	unlink(path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t usual = umask(0177);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 64) != 0)
		give_up("listen at", path);
	umask(usual);
}

/* It is freed at the start of the next turn, when no poll event can name it any more. */
static void drop(struct client *client)
{
	link_close(&client->link);
	calls_client_gone(client);
}

static void sweep(void)
{
	for (struct client **at = &clients; *at != NULL;) {
		struct client *client = *at;
		if (client->link.fd >= 0) {
			at = &client->next;
			continue;
		}
		*at = client->next;
		clients_count--;
		free(client);
	}
}

static bool take(void *subject, const struct frame *frame)
{
	return calls_take(subject, frame);
}

static void client_ready(void *subject, short events)
{
	struct client *client = subject;
	if ((events & POLLOUT) != 0) {
		link_flush(&client->link);
		if (client->link.pending == 0)
			calls_go_on(client);
	}
	if ((events & ~POLLOUT) != 0 && link_read(&client->link, take, client) > LINK_OPEN)
		drop(client);
}

static void listener_ready(void *subject, short events)
{
	(void)subject;
	(void)events;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			accept_after = monotonic_ms() + RETRY_MS;
		return;
	}
	struct client *client = calloc(1, sizeof *client);
	if (client == NULL)
		abort();
	link_open(&client->link, fd);
	client->next = clients;
	clients = client;
	clients_count++;
}

void clients_poll(void)
{
	sweep();
	if (clients_count < CLIENTS_MAX && clients_patience() <= 0)
		poll_add(listener, POLLIN, listener_ready, NULL);
	for (struct client *client = clients; client != NULL; client = client->next) {
		bool reads = (guest_link.pending < GUEST_PENDING_MAX || checkpoint_is_for(client)) && client->link.pending < PENDING_MAX;
		short events = (short)((reads ? POLLIN : 0) | (client->link.pending > 0 ? POLLOUT : 0));
		if (events != 0)
			poll_add(client->link.fd, events, client_ready, client);
	}
}

int clients_patience(void)
{
	return accept_after == 0 || until(accept_after) == 0 ? -1 : until(accept_after);
}

bool clients_are_flushed(void)
{
	for (struct client *client = clients; client != NULL; client = client->next)
		if (client->link.pending > 0)
			return false;
	return true;
}
