# Makes a C file of a data file: cmake -DINPUT=words.txt -DOUTPUT=words_data.c -DSYMBOL=ts_words_data -DHEADER=generator/data.h -P embed.cmake
# The array ends with a NUL that SYMBOL_size does not count.
foreach(name INPUT OUTPUT SYMBOL HEADER)
  if(NOT DEFINED ${name})
    message(FATAL_ERROR "embed.cmake: -D${name}=... is missing")
  endif()
endforeach()
file(READ "${INPUT}" bytes HEX)
string(LENGTH "${bytes}" digits)
math(EXPR size "${digits} / 2")
string(REPEAT "[0-9a-f]" 48 line)
string(REGEX REPLACE "(${line})" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE "${OUTPUT}" "#include \"${HEADER}\"\n\nconst char ${SYMBOL}[] = {\n${bytes}0};\nconst size_t ${SYMBOL}_size = ${size};\n")
