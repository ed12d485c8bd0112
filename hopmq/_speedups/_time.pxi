# Moments to seconds since 1970 and back, in the proleptic Gregorian calendar of datetime.


cdef enum:
    DAYS_TO_1970 = 719_468  # from 1 March of the year 0
    DAYS_PER_ERA = 146_097  # 400 years
    SECONDS_PER_DAY = 86_400

cdef uint64_t LAST_SECOND = 253_402_300_799  # of the year 9999


cdef int64_t days_of(int64_t year, int64_t month, int64_t day) noexcept nogil:
    # Years are counted from March, so that a leap day is a year's last.
    cdef int64_t shifted = month - 3 if month > 2 else month + 9
    cdef int64_t era, year_of_era, day_of_year
    if month <= 2:
        year -= 1
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * shifted + 2) // 5 + day - 1
    return (
        era * DAYS_PER_ERA
        + year_of_era * 365 + year_of_era // 4 - year_of_era // 100
        + day_of_year
        - DAYS_TO_1970
    )


cdef object moment_of(uint64_t seconds):
    # An aware datetime, or a Timestamp beyond its range.
    cdef int64_t days, era, day_of_era, year_of_era, day_of_year, shifted, year, month
    cdef int64_t rest
    if seconds > LAST_SECOND:
        return TIMESTAMP(seconds)
    days = <int64_t>(seconds // SECONDS_PER_DAY) + DAYS_TO_1970
    rest = <int64_t>(seconds % SECONDS_PER_DAY)
    era = days // DAYS_PER_ERA
    day_of_era = days - era * DAYS_PER_ERA
    year_of_era = (
        day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    return datetime_new(
        year,
        month,
        day_of_year - (153 * shifted + 2) // 5 + 1,
        rest // 3600,
        rest // 60 % 60,
        rest % 60,
        0,
        get_utc(),
    )


cdef int64_t seconds_of(object value, bint exact) except -1:
    # As time_seconds of the pure codec, which does what is not plainly UTC.
    cdef int64_t days
    if type(value) is not DATETIME or datetime_tzinfo(value) is not get_utc():
        return time_seconds(value, exact=exact)
    days = days_of(datetime_year(value), datetime_month(value), datetime_day(value))
    if days < 0 or (exact and datetime_microsecond(value)):
        return time_seconds(value, exact=exact)
    return (
        days * SECONDS_PER_DAY
        + datetime_hour(value) * 3600
        + datetime_minute(value) * 60
        + datetime_second(value)
    )
