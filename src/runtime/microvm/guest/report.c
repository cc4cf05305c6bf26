#include "agent.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What one report holds beside its kind, and a RESULT beside its errno. */
enum { ANSWER_MOST = PAYLOAD_MOST - 8 };

static int report = -1;

void report_to(int fd)
{
	report = fd;
}

void close_all_but(int fd)
{
	if (fd > 3)
		syscall(SYS_close_range, 3, fd - 1, 0);
	syscall(SYS_close_range, fd + 1, ~0U, 0);
}

static void send_report(char kind, const void *data, size_t length)
{
	struct iovec parts[] = { { &kind, 1 }, { (void *)data, length } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	sendmsg(report, &message, MSG_NOSIGNAL);
}

void fail(int error, const char *format, ...)
{
	char data[1024];
	va_list values;
	put_u32((uint8_t *)data, (uint32_t)error);
	va_start(values, format);
	vsnprintf(data + 4, sizeof data - 4, format, values);
	va_end(values);
	send_report('F', data, 4 + strlen(data + 4));
	_exit(1);
}

void answer(const void *data, size_t length)
{
	send_report('A', data, length);
	_exit(0);
}

void answer_text(const char *text, size_t length)
{
	size_t ahead = length > ANSWER_MOST ? length - ANSWER_MOST : 0;
	write_all(STDOUT_FILENO, text, ahead);
	answer(text + ahead, length - ahead);
}

static void report_fd(char kind, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
	struct iovec part = { &kind, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	sendmsg(report, &message, MSG_NOSIGNAL);
}

void report_terminal(int master)
{
	report_fd('T', master);
}

void report_root(int root)
{
	report_fd('R', root);
}

void report_executing(void)
{
	send_report('X', NULL, 0);
}
