"""What have persons said? Of a version that waits for them, by the lines of the ledger."""
