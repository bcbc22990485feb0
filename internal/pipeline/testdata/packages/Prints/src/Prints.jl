# Talks while it is loaded, on both streams and through the logger.
module Prints

println("Prints writes on standard output\nin two lines")
println(stderr, "Prints writes on standard error")
@info "Prints logs"
@warn "Prints warns" first = 1
shout(x) = uppercase(x)

end
