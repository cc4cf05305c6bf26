#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* LOG_DRAIN_MS is how long Docker waits for a log. */
enum { UNSTARTED_MS = 10000, DRAIN_MS = 2000, LOG_DRAIN_MS = 10000 };

struct options options = { .log_max_files = 1 };
enum state state = STATE_CREATED;
pid_t process_pid;
bool process_ended;

static int signal_fd;
static int exit_status;
static struct timespec exit_at;
static char *start_error;
/* When the wait for output of a process that has ended, or for a start, is over; and that for a log that is slow. */
static int64_t deadline, log_deadline;

static void usage(void)
{
	fputs("usage: hull-monitor --directory DIR [--terminal] [--stdin] [--stdin-once] [--owner UID:GID] [--size ROWSxCOLUMNS]\n"
	      "         [--log FILE [--log-max-size BYTES] [--log-max-files N] [--log-compress] [--log-attributes JSON]]\n"
	      "         [--syslog TRANSPORT:ADDRESS --syslog-tag TAG [--syslog-facility N] [--syslog-format FORMAT]\n"
	      "          [--syslog-relay PROGRAM|ARGUMENT]...]\n"
	      "         [--journal SOCKET [--journal-field NAME=VALUE]...] [--log-buffer BYTES] -- RUNTIME ARGUMENT...\n",
	      stderr);
	_exit(2);
}

/* To a list that is NULL or ends with NULL. */
static void append(char ***list, char *value)
{
	size_t count = 0;
	while (*list != NULL && (*list)[count] != NULL)
		count++;
	*list = realloc(*list, (count + 2) * sizeof **list);
	if (*list == NULL)
		abort();
	(*list)[count] = value;
	(*list)[count + 1] = NULL;
}

static const char *parse_options(int argc, char **argv)
{
	static const struct option known[] = {
		{ "directory", required_argument, NULL, 'd' },
		{ "terminal", no_argument, NULL, 't' },
		{ "stdin", no_argument, NULL, 'i' },
		{ "stdin-once", no_argument, NULL, 'o' },
		{ "owner", required_argument, NULL, 'u' },
		{ "size", required_argument, NULL, 's' },
		{ "log", required_argument, NULL, 'l' },
		{ "log-max-size", required_argument, NULL, 'S' },
		{ "log-max-files", required_argument, NULL, 'F' },
		{ "log-compress", no_argument, NULL, 'C' },
		{ "log-attributes", required_argument, NULL, 'A' },
		{ "log-buffer", required_argument, NULL, 'B' },
		{ "syslog", required_argument, NULL, 'y' },
		{ "syslog-relay", required_argument, NULL, 'R' },
		{ "syslog-tag", required_argument, NULL, 'T' },
		{ "syslog-facility", required_argument, NULL, 'Y' },
		{ "syslog-format", required_argument, NULL, 'O' },
		{ "journal", required_argument, NULL, 'j' },
		{ "journal-field", required_argument, NULL, 'J' },
		{ NULL, 0, NULL, 0 },
	};
	const char *directory = NULL;
	unsigned rows, columns;
	int option;
	while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
		switch (option) {
		case 'd':
			directory = optarg;
			break;
		case 't':
			options.terminal = true;
			break;
		case 'i':
			options.open_stdin = true;
			break;
		case 'o':
			options.stdin_once = true;
			break;
		case 'u':
			if (sscanf(optarg, "%u:%u", &options.owner, &options.group) != 2)
				usage();
			break;
		case 's':
			if (sscanf(optarg, "%ux%u", &rows, &columns) != 2)
				usage();
			stdio_resize((uint16_t)rows, (uint16_t)columns);
			break;
		case 'l':
			options.log_path = optarg;
			break;
		case 'S':
			options.log_max_size = strtoll(optarg, NULL, 10);
			break;
		case 'F':
			options.log_max_files = (int)strtol(optarg, NULL, 10);
			break;
		case 'C':
			options.log_compress = true;
			break;
		case 'A':
			options.log_attributes = optarg;
			break;
		case 'B':
			options.log_may_drop = true;
			options.log_buffer = strtoul(optarg, NULL, 10);
			break;
		case 'y':
			options.syslog = optarg;
			break;
		case 'R':
			append(&options.syslog_relay, optarg);
			break;
		case 'T':
			options.syslog_tag = optarg;
			break;
		case 'Y':
			options.syslog_facility = (int)strtol(optarg, NULL, 10);
			break;
		case 'O':
			options.syslog_format = optarg;
			break;
		case 'j':
			options.journal = optarg;
			break;
		case 'J':
			append(&options.journal_fields, optarg);
			break;
		default:
			usage();
		}
	}
	options.runtime = argv + optind;
	if (directory == NULL || *options.runtime == NULL || (options.syslog != NULL && options.syslog_tag == NULL))
		usage();
	return directory;
}

/* Nothing of the creator's may end or hold us: session, terminal, descriptors, working directory, umask, signals. */
static void detach(const char *directory)
{
	setsid();
	syscall(SYS_close_range, CREATOR_FD + 1, ~0U, 0);
	/* What the process gets where the runtime sets none. */
	umask(022);
	if (chdir(directory) != 0) {
		fprintf(stderr, "hull-monitor: %s: %s\n", directory, strerror(errno));
		_exit(1);
	}
	/* The process becomes our child when the runtime ends. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigset_t all, children;
	sigfillset(&all);
	/* SIGTERM too: whoever stops everything on the host must leave the record of how the process ended. */
	sigprocmask(SIG_SETMASK, &all, NULL);
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	signal_fd = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool is_socket(int fd)
{
	struct stat information;
	return fstat(fd, &information) == 0 && S_ISSOCK(information.st_mode);
}

/* Under memory pressure the process goes before its monitor. Not before the start: children inherit it. */
static void protect_from_oom_killer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	/* Refused without CAP_SYS_RESOURCE; then we go on as we are. */
	write_all(fd, "-999", 4);
	close(fd);
}

void process_started(pid_t pid)
{
	unsigned char payload[4];
	process_pid = pid;
	state = STATE_RUNNING;
	put_u32(payload, (uint32_t)pid);
	clients_send_event(FRAME_STARTED, payload, sizeof payload);
	protect_from_oom_killer();
}

static void ended(int status)
{
	process_ended = true;
	exit_status = status;
	clock_gettime(CLOCK_REALTIME, &exit_at);
	deadline = monotonic_ms() + DRAIN_MS;
	log_deadline = monotonic_ms() + LOG_DRAIN_MS;
	stdin_close();
}

void process_failed(const char *error)
{
	start_error = strdup(error);
	clients_send_event(FRAME_FAILED, error, strlen(error));
	/* Nothing of the user's ran: what stands in the pipes is the runtime's complaint, which was just told. */
	output_give_up();
	/* 128: what Docker says when the runtime could not start it and gave no better reason. */
	ended(128 << 8);
}

void process_exited(int status)
{
	ended(status);
}

static void reap(void *subject, short events)
{
	(void)subject;
	(void)events;
	struct signalfd_siginfo information;
	while (read(signal_fd, &information, sizeof information) > 0)
		continue;
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!log_child_ended(pid))
			runtime_child_ended(pid, status);
}

static void finish(void)
{
	unsigned char payload[16];
	uint32_t code, signal;
	output_give_up();
	log_close();
	exit_record_write(exit_status, &exit_at, start_error);
	state = STATE_ENDED;
	/* Whoever comes now finds the record. */
	clients_stop_listening();
	exit_record_values(exit_status, &code, &signal);
	put_u32(payload, code);
	put_u32(payload + 4, signal);
	uint64_t at = (uint64_t)exit_at.tv_sec * 1000000000 + (uint64_t)exit_at.tv_nsec;
	put_u32(payload + 8, (uint32_t)(at >> 32));
	put_u32(payload + 12, (uint32_t)at);
	clients_send_event(FRAME_EXIT, payload, sizeof payload);
}

/* Nothing more comes, and what came is where it belongs; or that took too long. */
static bool is_over(void)
{
	if (output_ended())
		return log_is_whole() || until(log_deadline) == 0;
	return until(log_takes() ? deadline : log_deadline) == 0;
}

static bool is_waited_for(void)
{
	return process_ended || (state == STATE_CREATED && !clients_any());
}

/* How long poll may sleep; -1 for ever. */
static int patience(void)
{
	int left = sooner(stdio_patience(), log_patience());
	if (!is_waited_for())
		return left;
	return sooner(left, until(until(deadline) > 0 || !process_ended ? deadline : log_deadline));
}

static void turn(int timeout)
{
	poll_reset();
	poll_add(signal_fd, POLLIN, reap, NULL);
	clients_poll();
	runtime_poll();
	log_poll();
	stdio_poll();
	poll_run(timeout);
}

int main(int argc, char **argv)
{
	const char *directory = parse_options(argc, argv);
	/* Before anything of ours can get that number. */
	bool had_client = is_socket(CREATOR_FD);
	if (had_client)
		fcntl(CREATOR_FD, F_SETFD, FD_CLOEXEC);
	detach(directory);
	log_open();
	stdio_open();
	clients_listen("sock");
	if (had_client)
		clients_add(CREATOR_FD);
	deadline = monotonic_ms() + UNSTARTED_MS;
	while (state != STATE_ENDED) {
		turn(patience());
		runtime_start_if_ready();
		had_client = had_client || clients_any();
		if (state == STATE_CREATED && !clients_any() && (had_client || until(deadline) == 0)) {
			clients_stop_listening();
			break;
		}
		if (process_ended && is_over())
			finish();
	}
	while (!clients_idle())
		turn(-1);
	_exit(0);
}
