/* What the load generator is asked to do, and the bytes of the one request that it sends. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_MAX 4096
#define HEADERS_MAX 16
#define TOTAL_S_MAX 120.0

struct options {
    int port;
    const char *path;
    int connections;
    double warmup_s;
    double seconds;
    double rate_per_s;
    const char *body_file;
    const char *headers[HEADERS_MAX];
    int header_count;
    uint64_t chunks_expected; /* marks in each answer; 0: the answer is no stream */
};

static inline void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(2);
}

static inline char *read_file(const char *name, size_t *length)
{
    FILE *file = fopen(name, "rb");
    if (!file)
        die(name);
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(*length + 1);
    if (!text || fread(text, 1, *length, file) != *length)
        die(name);
    fclose(file);
    return text;
}

static inline char *options_request(const struct options *options, size_t *request_bytes)
{
    char *request;
    size_t body_bytes = 0;
    char *body = options->body_file ? read_file(options->body_file, &body_bytes) : NULL;
    FILE *out = open_memstream(&request, request_bytes);
    fprintf(out, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\n", body ? "POST" : "GET",
            options->path, options->port);
    for (int i = 0; i < options->header_count; i++)
        fprintf(out, "%s\r\n", options->headers[i]);
    if (body)
        fprintf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body_bytes);
    fputs("\r\n", out);
    if (body)
        fwrite(body, 1, body_bytes, out);
    fclose(out);
    free(body);
    return request;
}

static inline void usage(void)
{
    fputs("usage: load --port N [--path P] [--connections N] [--warmup-s S] [--seconds S] [--rate-per-s R]\n"
          "            [--body-file F] [--header 'Name: value']... [--chunks-expected N]\n",
          stderr);
    exit(2);
}

static inline struct options options_parse(int count, char **arguments)
{
    struct options options = {
        .path = "/v1/chat/completions", .connections = 64, .warmup_s = 0.5, .seconds = 2};
    static const struct option known[] = {
        {"port", 1, 0, 'p'},      {"path", 1, 0, 'P'},       {"connections", 1, 0, 'c'},
        {"warmup-s", 1, 0, 'w'},  {"seconds", 1, 0, 't'},    {"rate-per-s", 1, 0, 'r'},
        {"body-file", 1, 0, 'b'}, {"header", 1, 0, 'H'},     {"chunks-expected", 1, 0, 'n'},
        {0, 0, 0, 0},
    };
    int option;
    while ((option = getopt_long(count, arguments, "", known, NULL)) != -1) {
        switch (option) {
        case 'p': options.port = atoi(optarg); break;
        case 'P': options.path = optarg; break;
        case 'c': options.connections = atoi(optarg); break;
        case 'w': options.warmup_s = atof(optarg); break;
        case 't': options.seconds = atof(optarg); break;
        case 'r': options.rate_per_s = atof(optarg); break;
        case 'b': options.body_file = optarg; break;
        case 'n': options.chunks_expected = strtoull(optarg, NULL, 10); break;
        case 'H':
            if (options.header_count == HEADERS_MAX)
                usage();
            options.headers[options.header_count++] = optarg;
            break;
        default: usage();
        }
    }
    bool bounded = options.seconds > 0 && options.warmup_s >= 0 &&
                   options.seconds + options.warmup_s <= TOTAL_S_MAX;
    if (!options.port || !bounded || options.connections < 1 || options.connections > CONNECTIONS_MAX)
        usage();
    return options;
}

#endif
