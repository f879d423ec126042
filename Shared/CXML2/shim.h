#pragma once
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/xmlerror.h>
#include <string.h>

/* A SAX table with only the callbacks the reader uses; SAX2 is chosen by the magic number. */
static inline void throughline_sax_table(xmlSAXHandler *sax) {
    memset(sax, 0, sizeof *sax);
    sax->initialized = XML_SAX2_MAGIC;
}

static inline void throughline_say_nothing(void *context, const char *message, ...) {
    (void)context;
    (void)message;
}

/* What libxml2 finds outside of a document (a byte that its encoding lacks) it prints to stderr, in the thread at hand. */
static inline void throughline_quieten(void) { xmlSetGenericErrorFunc(NULL, throughline_say_nothing); }
