#include "agent.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What one report holds beside its kind, and a RESULT beside its errno. */
enum { ANSWER_MOST = PAYLOAD_MOST - 8 };

static int report = -1;

void report_to(int fd)
{
	report = fd;
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

void report_terminal(int master)
{
	char kind = 'T';
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	memcpy(CMSG_DATA(&control.header), &master, sizeof master);
	struct iovec part = { &kind, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	sendmsg(report, &message, MSG_NOSIGNAL);
}

void report_executing(void)
{
	send_report('X', NULL, 0);
}
