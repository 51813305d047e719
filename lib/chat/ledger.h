/* The journal's state in memory; private to the journal. */
#ifndef TS_CHAT_LEDGER_H
#define TS_CHAT_LEDGER_H

#include "chat/journal.h"

/* Applies an event whose line has `size` bytes at `offset` of the file. Only memory can fail, and not after ts_ledger_reserve_job for this job. */
ts_status ts_ledger_apply(ts_journal *journal, const ts_event *event, uint64_t offset, size_t size);
ts_status ts_ledger_reserve_job(ts_journal *journal, uint64_t number);

#endif
