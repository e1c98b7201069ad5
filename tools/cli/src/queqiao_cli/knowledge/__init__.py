"""`queqiao knowledge`: the documents that answers are looked up in."""
