#include "vm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long clients, and after another end than the main process's the readers of its output, may let the end wait. */
enum { CLIENTS_MS = 500, OUTPUT_MS = 1000 };

static struct {
	bool known;
	int code;
	bool oom_killed;
	/* Words, or NULL. */
	char *start_error, *reason;
	uint32_t error;
	int64_t output_deadline; /* 0: none */
} end;
static int signal_fd;

static bool is_first(int code)
{
	if (end.known)
		return false;
	end.known = true;
	end.code = code;
	guest_close();
	checkpoint_end();
	qemu_kill();
	stdio_end();
	return true;
}

void vm_ended(int status, bool oom_killed)
{
	if (is_first(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status)))
		end.oom_killed = oom_killed;
}

void vm_not_started(uint32_t error, const char *words, size_t length)
{
	if (!is_first(127))
		return;
	end.error = error;
	end.start_error = strndup(words, length < TAIL_SIZE ? length : TAIL_SIZE);
}

static void end_otherwise(int code, const char *reason)
{
	if (!is_first(code))
		return;
	end.output_deadline = monotonic_ms() + OUTPUT_MS;
	char console[TAIL_SIZE + 1];
	qemu_console(console);
	size_t size = strlen(reason) + sizeof console + 64;
	end.reason = allocate(size);
	snprintf(end.reason, size, "%s%s%s", reason, console[0] != '\0' ? "; the last words of its console: " : "", console);
	if (guest_main_pid() == 0) {
		end.error = EIO;
		end.start_error = end.reason;
	}
}

void vm_failed(const char *reason)
{
	end_otherwise(guest_main_pid() == 0 ? 127 : 128 + SIGKILL, reason);
}

static void reap(void)
{
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		qemu_child_ended(pid, status);
	if (qemu_end() == NULL)
		return;
	/* The main process's result may have been the guest's last word. */
	guest_drain();
	vm_failed(qemu_end());
}

static void signalled(void *subject, short events)
{
	(void)subject;
	(void)events;
	struct signalfd_siginfo information;
	if (read(signal_fd, &information, sizeof information) != sizeof information)
		return;
	int number = (int)information.ssi_signo;
	if (number == SIGCHLD) {
		reap();
	} else if (number == SIGWINCH) {
		stdio_send_size();
	} else {
		char reason[64];
		snprintf(reason, sizeof reason, "hull-vm was ended by signal %d", number);
		end_otherwise(128 + number, reason);
		/* Nobody waits for output any more. */
		end.output_deadline = monotonic_ms();
	}
}

static void watch_signals(void)
{
	sigset_t signals;
	sigemptyset(&signals);
	static const int numbers[] = { SIGCHLD, SIGWINCH, SIGTERM, SIGINT, SIGHUP, SIGQUIT };
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		sigaddset(&signals, numbers[i]);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool is_over(void)
{
	return end.known && qemu_pid == 0 &&
	       (stdio_is_flushed() || (end.output_deadline != 0 && until(end.output_deadline) == 0));
}

static void turn(int patience)
{
	poll_reset();
	poll_add(signal_fd, POLLIN, signalled, NULL);
	clients_poll();
	stdio_poll();
	qemu_poll();
	guest_poll();
	checkpoint_poll();
	poll_run(sooner(patience, sooner(clients_patience(), guest_patience())));
}

static void tell_clients(void)
{
	if (end.start_error != NULL)
		calls_tell_started(end.error, end.start_error);
	calls_fail_all(ESHUTDOWN, "the VM has ended");
	int64_t deadline = monotonic_ms() + CLIENTS_MS;
	while (!clients_are_flushed() && until(deadline) > 0)
		turn(until(deadline));
}

int run(const char *path)
{
	static struct machine machine;
	const struct rlimit none = { 0, 0 };
	setrlimit(RLIMIT_CORE, &none);
	machine_read(&machine, path);
	watch_signals();
	make_files_as_owner();
	clients_listen("/run/vm/sock");
	int agent = qemu_start(&machine);
	if (!become(machine.uid, machine.gid))
		give_up("become the owner of", path);
	guest_open(agent, &machine);
	while (!is_over())
		turn(end.output_deadline != 0 ? until(end.output_deadline) : -1);
	exit_file_write(end.code, end.oom_killed, end.start_error, end.start_error == NULL ? end.reason : NULL);
	tell_clients();
	stdio_restore();
	return end.code;
}
