"""RDE (Recurrent Dynamic Embedding) and STCN, on which it is built."""
