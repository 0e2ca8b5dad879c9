namespace Abuse.Core.Interop;

/// <summary>Large arrays that nobody has touched yet: on Linux filling them costs a page fault for each 4 KiB, which is more than the copy into them.</summary>
internal static unsafe class FreshMemory
{
    private const nint HugePageSize = 2 << 20;

    /// <summary>MADV_HUGEPAGE: for systems whose setting for transparent huge pages is "madvise", which is the usual one.</summary>
    private const int UseHugePages = 14;

    /// <summary>Has the kernel use huge pages for what of an array fills them. A hint: nothing depends on it, and it may do nothing.</summary>
    internal static void Prepare(byte[] memory)
    {
        if (memory.Length < HugePageSize || !LinuxCall.IsAvailable)
        {
            return;
        }

        fixed (byte* first = memory)
        {
            nint from = ((nint)first + HugePageSize - 1) & -HugePageSize;
            nint end = ((nint)first + memory.Length) & -HugePageSize;
            if (from < end)
            {
                _ = LinuxCall.Advise(from, end - from, UseHugePages);
            }
        }
    }
}
