# Writes OUT: a name for this state of a code generator, part of the keys of cached code.
#   cmake -DOUT=FILE -DFOLDER=backends/llvm -P generator.cmake
file(GLOB sources ${FOLDER}/*.c ${FOLDER}/*.h ${FOLDER}/*.def)
list(SORT sources)
foreach(source ${sources})
  file(SHA256 ${source} one)
  string(APPEND all ${one})
endforeach()
string(SHA256 all "${all}")
string(SUBSTRING ${all} 0 16 short)
file(WRITE ${OUT} "#define SN_GENERATOR \"${short}\"\n")
