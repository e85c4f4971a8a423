"""Is a candidate as good on live rows? It answers beside the champion, unseen or for some callers."""
