"""One model on several processes: a layer cut across them, or the layers dealt out, over torch.distributed."""
