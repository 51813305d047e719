/* Ranks that speak through MPI. The only file that includes mpi.h; a library of its own. */
#include "tinystories/mpi.h"

#include <limits.h>
#include <stdlib.h>

#include <mpi.h>

#define PIECE ((size_t)1 << 30) /* bytes of a message: MPI counts in ints */

/* An exchange that was started: of each piece a send and a receive. */
typedef struct flight {
    MPI_Request *requests;
    int count, capacity;
} flight;

typedef struct ranks {
    MPI_Comm comm;
    int begun; /* MPI, by us */
    flight flights[TS_COMMUNICATOR_SLOTS];
} ranks;

static int piece_of(size_t size, size_t done)
{
    return (int)(size - done < PIECE ? size - done : PIECE);
}

static int32_t exchange(void *user, int32_t partner, const void *send, size_t send_size, void *receive, size_t receive_size)
{
    const ranks *r = user;
    size_t sent = 0, received = 0;
    do {
        int out = piece_of(send_size, sent), in = piece_of(receive_size, received);
        if (MPI_Sendrecv((const char *)send + sent, out, MPI_BYTE, partner, 0, (char *)receive + received, in, MPI_BYTE, partner, 0, r->comm, MPI_STATUS_IGNORE) !=
            MPI_SUCCESS)
            return -1;
        sent += (size_t)out;
        received += (size_t)in;
    } while (sent < send_size || received < receive_size);
    return 0;
}

static int make_room(flight *f, size_t pieces)
{
    if (pieces > INT_MAX / 2)
        return 0;
    if ((int)(2 * pieces) > f->capacity) {
        MPI_Request *requests = realloc(f->requests, 2 * pieces * sizeof *requests);
        if (requests == NULL)
            return 0;
        f->requests = requests;
        f->capacity = (int)(2 * pieces);
    }
    return 1;
}

/* Messages of one tag between two ranks don't overtake one another, so pieces need no number. */
static int32_t start(void *user, int32_t slot, int32_t partner, const void *send, size_t send_size, void *receive, size_t receive_size)
{
    ranks *r = user;
    flight *f = &r->flights[slot];
    if (!make_room(f, send_size / PIECE + receive_size / PIECE + 2))
        return -1;
    f->count = 0;
    for (size_t done = 0; done < receive_size; done += (size_t)piece_of(receive_size, done))
        if (MPI_Irecv((char *)receive + done, piece_of(receive_size, done), MPI_BYTE, partner, slot + 1, r->comm, &f->requests[f->count++]) != MPI_SUCCESS)
            return -1;
    for (size_t done = 0; done < send_size; done += (size_t)piece_of(send_size, done))
        if (MPI_Isend((const char *)send + done, piece_of(send_size, done), MPI_BYTE, partner, slot + 1, r->comm, &f->requests[f->count++]) != MPI_SUCCESS)
            return -1;
    return 0;
}

static int32_t wait_for(void *user, int32_t slot)
{
    flight *f = &((ranks *)user)->flights[slot];
    return MPI_Waitall(f->count, f->requests, MPI_STATUSES_IGNORE) == MPI_SUCCESS ? 0 : -1;
}

static int32_t broadcast(void *user, void *data, size_t size)
{
    const ranks *r = user;
    for (size_t done = 0; done < size; done += (size_t)piece_of(size, done))
        if (MPI_Bcast((char *)data + done, piece_of(size, done), MPI_BYTE, 0, r->comm) != MPI_SUCCESS)
            return -1;
    return 0;
}

static int begin(ranks *r, const MPI_Comm *comm, ts_communicator *communicator)
{
    int initialized, finalized, provided, rank, size;
    if (MPI_Initialized(&initialized) != MPI_SUCCESS || MPI_Finalized(&finalized) != MPI_SUCCESS || finalized)
        return 0;
    if (!initialized && (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS || provided < MPI_THREAD_FUNNELED))
        return 0;
    r->begun = !initialized;
    if (MPI_Comm_dup(comm ? *comm : MPI_COMM_WORLD, &r->comm) != MPI_SUCCESS || MPI_Comm_set_errhandler(r->comm, MPI_ERRORS_RETURN) != MPI_SUCCESS ||
        MPI_Comm_rank(r->comm, &rank) != MPI_SUCCESS || MPI_Comm_size(r->comm, &size) != MPI_SUCCESS)
        return 0;
    *communicator = (ts_communicator){.struct_size = sizeof *communicator, .user = r, .rank = rank, .size = size, .exchange = exchange, .broadcast = broadcast,
                                     .start = start, .wait = wait_for};
    return 1;
}

ts_status ts_mpi_begin(ts_communicator *communicator, const void *comm)
{
    if (communicator == NULL)
        return TS_ERROR_INVALID_ARGUMENT;
    ranks *r = calloc(1, sizeof *r); /* MPI has its own allocator anyway */
    if (r == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    if (begin(r, comm, communicator))
        return TS_OK;
    free(r);
    return TS_ERROR_NETWORK;
}

void ts_mpi_end(ts_communicator *communicator)
{
    ranks *r = communicator ? communicator->user : NULL;
    if (r == NULL)
        return;
    MPI_Comm_free(&r->comm);
    if (r->begun)
        MPI_Finalize();
    for (int slot = 0; slot < TS_COMMUNICATOR_SLOTS; slot++)
        free(r->flights[slot].requests);
    free(r);
    communicator->user = NULL;
}
