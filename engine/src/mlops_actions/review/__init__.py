"""What a pull request shows: candidate against champion, the gate's verdict, the report, the comment."""
