/*
 * hull-tls HOST PORT CA CERTIFICATE KEY VERIFY
 *
 * Carries what comes on descriptor 0, a stream socket, to a server over TLS: a process of its own, so that the monitors of containers
 * that need none stay small and static. Files may be empty; without CA the host's are trusted. VERIFY is 0 or 1.
 *
 * It says "+" on descriptor 0 when the connection stands, or why it does not, and ends. It ends when either side does.
 *
 * OpenSSL is looked for when it runs, and its few functions that are used have been the same since 1.1: building needs no headers of it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECT_MS = 10000, UNANSWERED_MS = 30000, INPUT = 0 };

/* openssl/ssl.h, openssl/x509_vfy.h */
enum { SSL_FILETYPE_PEM = 1, SSL_VERIFY_NONE = 0, SSL_VERIFY_PEER = 1, SSL_ERROR_WANT_READ = 2, SSL_ERROR_WANT_WRITE = 3 };
enum { SSL_CTRL_SET_TLSEXT_HOSTNAME = 55, TLSEXT_NAMETYPE_host_name = 0 };
enum { X509_V_OK = 0, X509_V_ERR_CERT_NOT_YET_VALID = 9, X509_V_ERR_CERT_HAS_EXPIRED = 10, X509_V_ERR_HOSTNAME_MISMATCH = 62,
       X509_V_ERR_IP_ADDRESS_MISMATCH = 64, X509_V_ERR_FIRST_OF_CHAIN = 18, X509_V_ERR_LAST_OF_CHAIN = 21,
       X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT = 2 };

#define FUNCTIONS(F) \
	F(const void *, TLS_client_method, (void)) \
	F(void *, SSL_CTX_new, (const void *)) \
	F(int, SSL_CTX_load_verify_locations, (void *, const char *, const char *)) \
	F(int, SSL_CTX_set_default_verify_paths, (void *)) \
	F(int, SSL_CTX_use_certificate_chain_file, (void *, const char *)) \
	F(int, SSL_CTX_use_PrivateKey_file, (void *, const char *, int)) \
	F(void, SSL_CTX_set_verify, (void *, int, void *)) \
	F(void *, SSL_new, (void *)) \
	F(int, SSL_set_fd, (void *, int)) \
	F(long, SSL_ctrl, (void *, int, long, void *)) \
	F(void *, SSL_get0_param, (void *)) \
	F(int, X509_VERIFY_PARAM_set1_host, (void *, const char *, size_t)) \
	F(int, X509_VERIFY_PARAM_set1_ip_asc, (void *, const char *)) \
	F(int, SSL_connect, (void *)) \
	F(int, SSL_read, (void *, void *, int)) \
	F(int, SSL_write, (void *, const void *, int)) \
	F(int, SSL_shutdown, (void *)) \
	F(int, SSL_get_error, (const void *, int)) \
	F(long, SSL_get_verify_result, (const void *)) \
	F(const char *, X509_verify_cert_error_string, (long)) \
	F(unsigned long, ERR_get_error, (void)) \
	F(const char *, ERR_reason_error_string, (unsigned long))

#define DECLARE(type, name, parameters) static type(*name) parameters;
FUNCTIONS(DECLARE)

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
	char text[256];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (length > 0 && write(INPUT, text, strlen(text)) < 0)
		_exit(2);
	_exit(1);
}

static void load_openssl(void)
{
	static const char *const names[] = { "libssl.so.3", "libssl.so.1.1", "libssl.so" };
	void *library = NULL;
	for (size_t i = 0; i < sizeof names / sizeof *names && library == NULL; i++)
		library = dlopen(names[i], RTLD_NOW);
	if (library == NULL)
		fail("syslog over TLS needs OpenSSL's library libssl, which this host does not have");
	/* Those of libcrypto are found as well, for libssl depends on it. */
#define LOOK_UP(type, name, parameters) \
	*(void **)&name = dlsym(library, #name); \
	if (name == NULL) \
		fail("syslog over TLS: OpenSSL does not have %s", #name);
	FUNCTIONS(LOOK_UP)
}

static const char *lower(const char *words)
{
	static char text[160];
	snprintf(text, sizeof text, "%s", words);
	text[0] = (char)tolower(text[0]);
	return text;
}

static const char *openssl_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_get_error());
	return reason != NULL ? reason : "the connection was closed";
}

static int wait_for(int fd, short events, int timeout)
{
	struct pollfd one = { .fd = fd, .events = events };
	int result;
	do
		result = poll(&one, 1, timeout);
	while (result < 0 && errno == EINTR);
	return result;
}

/* In the words of Go's net package. */
static int dial(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *addresses;
	if (getaddrinfo(host, port, &hints, &addresses) != 0)
		fail("dial tcp: lookup %s: no such host", host);
	int error = 0;
	for (struct addrinfo *at = addresses; at != NULL; at = at->ai_next) {
		int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd < 0)
			continue;
		error = connect(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
		if (error == EINPROGRESS) {
			socklen_t size = sizeof error;
			if (wait_for(fd, POLLOUT, CONNECT_MS) == 0)
				error = ETIMEDOUT;
			else
				getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
		}
		if (error == 0)
			return fd;
		close(fd);
	}
	fail("dial tcp %s%s%s:%s: connect: %s", strchr(host, ':') ? "[" : "", host, strchr(host, ':') ? "]" : "", port,
	     error == ETIMEDOUT ? "i/o timeout" : lower(strerror(error)));
}

/* After a call that could not go on: waits until it can. False: it never can. */
static int can_go_on(void *ssl, int fd, int result, int timeout)
{
	int error = SSL_get_error(ssl, result);
	if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
		return 0;
	return wait_for(fd, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, timeout) != 0;
}

__attribute__((noreturn)) static void handshake_failed(void *ssl, const char *host)
{
	long result = SSL_get_verify_result(ssl);
	if (result == X509_V_OK)
		fail("tls: %s", openssl_reason());
	if (result == X509_V_ERR_HOSTNAME_MISMATCH || result == X509_V_ERR_IP_ADDRESS_MISMATCH)
		fail("tls: failed to verify certificate: x509: certificate is not valid for %s", host);
	if (result == X509_V_ERR_CERT_HAS_EXPIRED || result == X509_V_ERR_CERT_NOT_YET_VALID)
		fail("tls: failed to verify certificate: x509: certificate has expired or is not yet valid");
	if (result == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
	    (result >= X509_V_ERR_FIRST_OF_CHAIN && result <= X509_V_ERR_LAST_OF_CHAIN))
		fail("tls: failed to verify certificate: x509: certificate signed by unknown authority");
	fail("tls: failed to verify certificate: x509: %s", X509_verify_cert_error_string(result));
}

static void *secure(int fd, char **argv)
{
	const char *host = argv[1], *ca = argv[3], *certificate = argv[4], *key = argv[5];
	int verify = strcmp(argv[6], "0") != 0;
	void *context = SSL_CTX_new(TLS_client_method());
	if (context == NULL)
		fail("tls: %s", openssl_reason());
	SSL_CTX_set_verify(context, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	if ((*ca != '\0' ? SSL_CTX_load_verify_locations(context, ca, NULL) : SSL_CTX_set_default_verify_paths(context)) != 1)
		fail("failed to append certificates from PEM file: \"%s\"", ca);
	if (*certificate != '\0' && (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
				     SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1))
		fail("Could not load X509 key pair: %s", openssl_reason());
	void *ssl = SSL_new(context);
	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
		fail("tls: %s", openssl_reason());
	unsigned char address[sizeof(struct in6_addr)];
	if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1) {
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
	} else {
		X509_VERIFY_PARAM_set1_host(SSL_get0_param(ssl), host, 0);
		SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)host);
	}
	int result;
	while ((result = SSL_connect(ssl)) != 1)
		if (!can_go_on(ssl, fd, result, CONNECT_MS))
			handshake_failed(ssl, host);
	return ssl;
}

static int send_all(void *ssl, int fd, const char *data, int length)
{
	while (length > 0) {
		int sent = SSL_write(ssl, data, length);
		if (sent <= 0 && !can_go_on(ssl, fd, sent, -1))
			return 0;
		if (sent > 0) {
			data += sent;
			length -= sent;
		}
	}
	return 1;
}

/* Whether the server is still there. It has nothing to say but what belongs to TLS itself. */
static int look_for_end(void *ssl)
{
	char ignored[1024];
	int length;
	while ((length = SSL_read(ssl, ignored, sizeof ignored)) > 0)
		continue;
	int error = SSL_get_error(ssl, length);
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static void relay(void *ssl, int fd)
{
	static char data[16 * 1024];
	for (;;) {
		struct pollfd both[2] = { { .fd = INPUT, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
		if (poll(both, 2, -1) < 0 && errno != EINTR)
			return;
		if (both[1].revents != 0 && !look_for_end(ssl))
			return;
		if (both[0].revents == 0)
			continue;
		ssize_t length = read(INPUT, data, sizeof data);
		if (length < 0 && errno == EINTR)
			continue;
		if (length <= 0) {
			SSL_shutdown(ssl);
			return;
		}
		if (!send_all(ssl, fd, data, (int)length))
			return;
	}
}

int main(int argc, char **argv)
{
	if (argc != 7) {
		fputs("usage: hull-tls HOST PORT CA CERTIFICATE KEY VERIFY\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	load_openssl();
	int fd = dial(argv[1], argv[2]);
	unsigned unanswered = UNANSWERED_MS;
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered, sizeof unanswered);
	void *ssl = secure(fd, argv);
	if (write(INPUT, "+", 1) == 1)
		relay(ssl, fd);
	return 0;
}
