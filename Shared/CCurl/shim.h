#pragma once
#include <curl/curl.h>

/* curl_easy_setopt and curl_easy_getinfo are variadic, which Swift cannot call. */
static inline CURLcode throughline_curl_string(CURL *h, CURLoption o, const char *v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode throughline_curl_long(CURL *h, CURLoption o, long v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode throughline_curl_list(CURL *h, CURLoption o, struct curl_slist *v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode throughline_curl_pointer(CURL *h, CURLoption o, void *v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode throughline_curl_response(CURL *h, long *code) { return curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, code); }
static inline CURLcode throughline_curl_request_bytes(CURL *h, long *bytes) { return curl_easy_getinfo(h, CURLINFO_REQUEST_SIZE, bytes); }

typedef size_t (*throughline_curl_data)(char *, size_t, size_t, void *);
typedef int (*throughline_curl_progress)(void *, curl_off_t, curl_off_t, curl_off_t, curl_off_t);
static inline CURLcode throughline_curl_read(CURL *h, throughline_curl_data f) { return curl_easy_setopt(h, CURLOPT_READFUNCTION, f); }
static inline void throughline_curl_callbacks(CURL *h, void *user, throughline_curl_data header,
                                              throughline_curl_data body, throughline_curl_progress progress) {
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, user);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, user);
    curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, progress);
    curl_easy_setopt(h, CURLOPT_XFERINFODATA, user);
}
static inline void throughline_curl_body(CURL *h, const void *bytes, size_t count) {
    curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)count);
    curl_easy_setopt(h, CURLOPT_POSTFIELDS, bytes ? bytes : "");
}
