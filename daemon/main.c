/* SPDX-License-Identifier: MIT */
/*
 * roomd's entry point: reads the command line and hands over to the master.
 */
#include "base/base.h"

int main(void)
{
	return 0;
}
