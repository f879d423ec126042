#pragma once
#include <libpq-fe.h>

/* Character-literal macros are not imported into Swift. */
static const int THROUGHLINE_PG_DIAG_SQLSTATE = PG_DIAG_SQLSTATE;
static const int THROUGHLINE_PG_DIAG_CONSTRAINT_NAME = PG_DIAG_CONSTRAINT_NAME;
static const int THROUGHLINE_PG_DIAG_MESSAGE_PRIMARY = PG_DIAG_MESSAGE_PRIMARY;
static const int THROUGHLINE_PG_DIAG_MESSAGE_DETAIL = PG_DIAG_MESSAGE_DETAIL;
