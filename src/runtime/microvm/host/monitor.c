#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* QEMU's control protocol (docs/interop/qmp-spec.rst): one line for each answer and event. */
enum { LINE_MOST = 4096 };
/* What tells answers to commands of ours from those to FILE's. */
static const char ours[] = "\"id\": \"hull-vm\"";

static int monitor_fd = -1;
static char line[LINE_MOST + 1];
static size_t line_length;
/* What is not said yet. */
static struct records commands_in;
static monitor_answered *waiting;

static bool say(const void *text, size_t length, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec part = { (void *)(uintptr_t)text, length };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof control;
		control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
	}
	return sendmsg(monitor_fd, &message, MSG_NOSIGNAL) == (ssize_t)length;
}

/* QEMU reads them when it is ready; they fit into the socket. */
static void tell(const struct records *commands)
{
	if (commands->length > 0 && !say(commands->data, commands->length, -1))
		give_up("command", "QEMU");
}

void monitor_open(int fd, const struct machine *machine)
{
	monitor_fd = fd;
	tell(&machine->commands);
	commands_in = machine->commands_in;
	fcntl(monitor_fd, F_SETFL, O_NONBLOCK);
}

void monitor_command(const char *text, int fd, monitor_answered *answered)
{
	waiting = answered;
	if (monitor_fd < 0 || !say(text, strlen(text), fd))
		qemu_fail("QEMU takes no commands");
}

/* The description, cut off where it has a quote. */
static char *words_of_error(char *text)
{
	static const char key[] = "\"desc\": \"";
	char *words = strstr(text, key);
	if (words == NULL)
		return text;
	words += sizeof key - 1;
	words[strcspn(words, "\"\\")] = '\0';
	return words;
}

static void migration_event(void)
{
	bool completed = strstr(line, "\"status\": \"completed\"") != NULL;
	/* Of a guest that comes in. */
	if (completed && commands_in.length > 0) {
		tell(&commands_in);
		commands_in.length = 0;
	} else if (completed || strstr(line, "\"status\": \"failed\"") != NULL || strstr(line, "\"status\": \"cancelled\"") != NULL) {
		checkpoint_written(completed);
	}
}

static void take_line(void)
{
	char *error = strstr(line, "\"error\":");
	if (strstr(line, ours) != NULL) {
		monitor_answered *answered = waiting;
		waiting = NULL;
		if (answered != NULL)
			answered(error != NULL ? words_of_error(error) : NULL);
	} else if (strstr(line, "\"event\": \"MIGRATION\"") != NULL) {
		migration_event();
	} else if (error != NULL) {
		/* QEMU goes on when it could not do what it was told, and we do not. */
		qemu_fail(line);
	}
}

/* Of a line that is too long the rest is not looked at. */
static void add(char character)
{
	if (character != '\n') {
		if (line_length < LINE_MOST)
			line[line_length++] = character;
		return;
	}
	line[line_length] = '\0';
	line_length = 0;
	take_line();
}

static void monitor_ready(void *subject, short events)
{
	(void)subject;
	(void)events;
	char text[4096];
	ssize_t got = read(monitor_fd, text, sizeof text);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		close(monitor_fd);
		monitor_fd = -1;
		return;
	}
	for (ssize_t i = 0; i < got; i++)
		add(text[i]);
}

void monitor_poll(void)
{
	if (monitor_fd >= 0)
		poll_add(monitor_fd, POLLIN, monitor_ready, NULL);
}
