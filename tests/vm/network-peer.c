/*
 * Both sides of a conversation, for images that have no such program. `serve PROTOCOL ADDRESS PORT` answers each who asks with
 * the address that he came from; `ask PROTOCOL ADDRESS PORT` prints the answer, and the address that it came from.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { SECONDS = 10 };

static void fail(const char *action)
{
	perror(action);
	exit(1);
}

static void serve(int fd, int is_tcp, struct sockaddr_in *own)
{
	char text[128];
	const int one = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, is_tcp ? sizeof one : 0);
	if (bind(fd, (struct sockaddr *)own, sizeof *own) != 0 || (is_tcp && listen(fd, 16) != 0))
		fail("listen");
	puts("listens");
	fflush(stdout);
	for (;;) {
		struct sockaddr_in from;
		socklen_t length = sizeof from;
		int client = is_tcp ? accept(fd, (struct sockaddr *)&from, &length) : fd;
		if (!is_tcp && recvfrom(fd, text, sizeof text, 0, (struct sockaddr *)&from, &length) < 0)
			fail("receive");
		snprintf(text, sizeof text, "hello %s", inet_ntoa(from.sin_addr));
		sendto(client, text, strlen(text), 0, is_tcp ? NULL : (struct sockaddr *)&from, is_tcp ? 0 : length);
		if (is_tcp)
			close(client);
	}
}

static void ask(int fd, int is_tcp, struct sockaddr_in *other)
{
	char text[128];
	struct sockaddr_in from = *other;
	socklen_t length = sizeof from;
	const struct timeval patience = { .tv_sec = SECONDS };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (is_tcp && (connect(fd, (struct sockaddr *)other, sizeof *other) != 0 || getpeername(fd, (struct sockaddr *)&from, &length) != 0))
		fail("connect");
	if (!is_tcp && sendto(fd, "x", 1, 0, (struct sockaddr *)other, sizeof *other) != 1)
		fail("send");
	ssize_t got = recvfrom(fd, text, sizeof text - 1, 0, is_tcp ? NULL : (struct sockaddr *)&from, is_tcp ? NULL : &length);
	if (got < 0)
		fail("receive");
	text[got] = '\0';
	printf("%s by %s\n", text, inet_ntoa(from.sin_addr));
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	int is_tcp = strcmp(argv[2], "tcp") == 0;
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[4])) };
	inet_aton(argv[3], &address.sin_addr);
	int fd = socket(AF_INET, is_tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
	if (strcmp(argv[1], "serve") == 0)
		serve(fd, is_tcp, &address);
	else
		ask(fd, is_tcp, &address);
	return 0;
}
