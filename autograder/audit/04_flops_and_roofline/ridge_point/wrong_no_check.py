"""Lets a bandwidth of 0 end in ZeroDivisionError"""
def ridge_point(peak_flops, bandwidth):
    return peak_flops / bandwidth
