namespace Abuse.Core.Interop;

/// <summary>Large arrays that nobody has touched yet: on Linux filling them costs a page fault for each 4 KiB, which is more than the copy into them.</summary>
internal static unsafe class FreshMemory
{
    private const int Least = 128 << 10;
    private const nint PageSize = 4096;
    private const nint HugePageSize = 2 << 20;

    /// <summary>MADV_HUGEPAGE: for systems whose setting for transparent huge pages is "madvise", which is the usual one.</summary>
    private const int UseHugePages = 14;

    /// <summary>MADV_POPULATE_WRITE, from Linux 5.14 on: all pages at once.</summary>
    private const int Populate = 23;

    /// <summary>Has the kernel give an array its memory now, in huge pages where it can. A hint: nothing depends on it, and it may do nothing.</summary>
    internal static void Prepare(byte[] memory)
    {
        if (memory.Length < Least || !LinuxCall.IsAvailable)
        {
            return;
        }

        fixed (byte* first = memory)
        {
            Advise((nint)first, memory.Length, HugePageSize, UseHugePages);
            Advise((nint)first, memory.Length, PageSize, Populate);
        }
    }

    /// <summary>Advises for the pages that lie within a range whole.</summary>
    private static void Advise(nint first, int length, nint page, int advice)
    {
        nint from = (first + page - 1) & -page;
        nint end = (first + length) & -page;
        if (from < end)
        {
            _ = LinuxCall.Advise(from, end - from, advice);
        }
    }
}
