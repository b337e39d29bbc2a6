"""What comes of it: feedback for a student, reports for the instructor, scores for an LMS."""
