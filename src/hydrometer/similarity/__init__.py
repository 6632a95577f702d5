"""Response Similarity Evaluation: how alike the answers of two models are in style, logic and content."""
