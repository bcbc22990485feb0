package objcache

// This file describes what is done to make what a key stands for, for caches whose protocol wants to know.

// A Computation says how the data under a key is made: a command that is run in a folder with some files and writes one. It
// is as complete as the key, which alone decides whether two computations are the same.
type Computation struct {
	Key Key
	// Arguments is the command, the program first. Programs are looked up on the path of whoever runs it.
	Arguments []string
	// Environment has what the command finds in its environment besides what each process has, by name.
	Environment map[string]string
	// Files are the contents of the files in the folder, by their paths relative to it, with slashes.
	Files map[string][]byte
	// Output is the path of the file that the command writes: the data.
	Output string
	// Platform says what the machine must have, by names of properties: libraries, a processor.
	Platform map[string]string
}
