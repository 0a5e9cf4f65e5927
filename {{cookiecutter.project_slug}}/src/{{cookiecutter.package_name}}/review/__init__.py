"""What a pull request shows: the champion, the comparison, the gate's verdict, the report, the comment."""
