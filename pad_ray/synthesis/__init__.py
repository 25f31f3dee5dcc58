"""Problems to verified rows: asking a teacher, judging, and what is made of the rows."""
