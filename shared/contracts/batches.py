"""Batches of the journal: the id under which one is stored, ordered as its partition's log."""

SEQ_BITS = 40


def batch_id(partition: int, first_seq: int) -> int:
    """The `_id` in `journal.batches`: int64, from the number of the batch's first event."""
    return partition << SEQ_BITS | first_seq


def first_seq_of(batch: int) -> int:
    """The number of the first event of the batch with this `_id`."""
    return batch & (1 << SEQ_BITS) - 1
