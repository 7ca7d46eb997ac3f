"""OFA ("One For All", arXiv 2202.03052): one sequence-to-sequence transformer for vision, language and both."""
